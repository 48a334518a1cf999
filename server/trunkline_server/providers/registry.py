"""Which providers are on, and why the others are not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from trunkline.v1 import models_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.providers import builtin, installed
from trunkline_server.providers.client import ClientSettings, HttpTransport, PoolFigures, Transport
from trunkline_server.providers.installed import Broken
from trunkline_server.providers.keyed import ReadKey, WithKey
from trunkline_server.providers.own import own, telling_prices
from trunkline_server.providers.provider import OwnTransport, Provider, Upstream, header
from trunkline_server.providers.query import WithQuery
from trunkline_server.providers.sandbox import SANDBOX
from trunkline_server.providers.settings import ProviderSettings

__all__ = ["Listed", "ProviderSettings", "Registry"]

UNSAID: Final = ProviderSettings()
_OWN_WAY: Final = "it is reached in a way of its own"


@dataclass(frozen=True, slots=True)
class Listed:
    """A provider, on or off; `missing` says what it lacks. One that could not be loaded has no dialect."""

    name: str
    missing: str
    dialect: str = ""
    capabilities: Collection[models_pb2.Capability.ValueType] = ()

    @property
    def enabled(self) -> bool:
        return not self.missing


class Registry:
    """Made inside the running loop; connections to a provider are made when it is first asked."""

    def __init__(self, settings: Mapping[str, ProviderSettings], client: ClientSettings) -> None:
        self._client = client
        self._listed: dict[str, Listed] = {}
        self._upstreams: dict[str, Upstream] = {}
        self._transports: list[tuple[str, OwnTransport]] = []
        self._keyless: dict[str, tuple[Provider, Transport]] = {}
        for found in _declared(settings):
            self._add(found, settings.get(found.name))

    @property
    def enabled(self) -> Sequence[str]:
        """Names of the providers that are on, in the order in which a bare model name looks for one."""
        return tuple(self._upstreams)

    @property
    def names(self) -> Sequence[str]:
        """Names of all providers, on or off, in that order."""
        return tuple(self._listed)

    def listing(self) -> list[Listed]:
        """All providers, by name."""
        return [self._listed[name] for name in sorted(self._listed)]

    def find(self, name: str) -> Listed | None:
        return self._listed.get(name)

    def upstream(self, name: str) -> Upstream:
        """The way to a provider. Raises PROVIDER_DISABLED."""
        upstream = self._upstreams.get(name)
        if upstream is None:
            raise self.disabled(name)
        return upstream

    def disabled(self, name: str) -> TrunklineError:
        """Why there is no way to a provider."""
        missing = self._listed[name].missing if name in self._listed else "it is not configured"
        return TrunklineError(Reason.PROVIDER_DISABLED, f"provider {name!r} is off: {missing}")

    def takes_keys(self, name: str) -> bool:
        """Whether calls to a provider can go out with other keys than the gateway's: it lacks nothing but a key."""
        return name in self._keyless

    def keyed(self, name: str, read_key: ReadKey) -> Upstream:
        """The way to a provider with another key than the gateway's. Raises PROVIDER_DISABLED."""
        if name not in self._keyless:
            missing = self._listed[name].missing if name in self._listed else "it is not configured"
            raise TrunklineError(Reason.PROVIDER_DISABLED, f"provider {name!r} takes no keys: {missing or _OWN_WAY}")
        provider, transport = self._keyless[name]
        return Upstream(provider, WithKey(transport, provider.sign, read_key))

    async def close(self) -> None:
        """Close every connection."""
        for _, transport in self._transports:
            await transport.close()

    def pools(self) -> Mapping[str, PoolFigures]:
        """Of the providers that were asked, by name; with all keys together."""
        pools: dict[str, PoolFigures] = {}
        for name, transport in self._transports:
            if isinstance(transport, HttpTransport) and transport.figures.exchange_count:
                pools[name] = pools[name] + transport.figures if name in pools else transport.figures
        return dict(sorted(pools.items()))

    def _add(self, found: Provider | Broken, given: ProviderSettings | None) -> None:
        if isinstance(found, Broken):
            self._listed[found.name] = Listed(found.name, found.reason)
            return
        provider, told = _as_told(found, given or UNSAID), given or UNSAID
        closed = _closed(provider, given)
        if not closed and provider.transport is None:
            self._open_keyless(provider, told)
        missing = closed or _keyless(provider, told) or self._open(provider, told)
        self._listed[provider.name] = Listed(provider.name, missing, provider.wire.name, provider.capabilities)

    def _open(self, provider: Provider, given: ProviderSettings) -> str:
        """Why it could not be opened; empty where it was."""
        try:
            transport = self._transport(provider, given)
        except Exception as error:  # noqa: BLE001 - the way to an installed provider is other people's code
            broken = installed.failed(provider.name, error)
            installed.report(broken)
            return broken.reason
        self._upstreams[provider.name] = Upstream(provider, self._kept(provider, transport, given))
        return ""

    def _open_keyless(self, provider: Provider, given: ProviderSettings) -> None:
        """The one way for the keys of all accounts at a provider."""
        with suppress(
            ValueError
        ):  # an address or a header that cannot be used is told where the gateway's key needs it
            transport = HttpTransport(provider.base_url, given.headers, self._client)
            self._keyless[provider.name] = (provider, self._kept(provider, transport, given))

    def _kept(self, provider: Provider, transport: OwnTransport, given: ProviderSettings) -> Transport:
        self._transports.append((provider.name, transport))
        return WithQuery(transport, given.query) if given.query else transport

    def _transport(self, provider: Provider, given: ProviderSettings) -> OwnTransport:
        if provider.transport is not None:
            return provider.transport(given)
        signed = provider.sign(given.api_key) if given.api_key else {}
        return HttpTransport(provider.base_url, {**signed, **given.headers}, self._client)


def _declared(settings: Mapping[str, ProviderSettings]) -> Iterator[Provider | Broken]:
    """Ours, those of other packages, the operator's own servers, and the sandbox last."""
    yield from builtin.declarations()
    others = list(installed.installed(taken=(*builtin.NAMES, SANDBOX.name)))
    yield from others
    known = {*builtin.NAMES, SANDBOX.name, *(each.name for each in others)}
    yield from (own(name, given.dialect) for name, given in settings.items() if name not in known)
    yield SANDBOX


def _as_told(provider: Provider, given: ProviderSettings) -> Provider:
    """The declaration with the operator's own words over it."""
    sign = header(given.key_header) if given.key_header else provider.sign
    spoken = own(provider.name, given.dialect) if given.dialect else provider
    return replace(
        provider,
        base_url=given.base_url or provider.base_url,
        sign=sign,
        wire=telling_prices(spoken.wire, given.price_list),
        crafts=spoken.crafts,
        voices=spoken.voices,
        background=spoken.background,
        cancel_billing=given.cancel_billing or provider.cancel_billing,
    )


def _closed(provider: Provider, given: ProviderSettings | None) -> str:
    """What it lacks beside a key."""
    if provider.only_if_named and given is None:
        return f"it needs a base_url ({_variable(provider, 'BASE_URL')})"
    if given is not None and not given.enabled:
        return "it is switched off"
    if provider.transport is None and not urlsplit(provider.base_url).hostname:
        return "it needs a base_url"
    return ""


def _keyless(provider: Provider, given: ProviderSettings) -> str:
    if provider.needs_key and not given.api_key:
        return f"it needs an API key ({_variable(provider, 'API_KEY')})"
    return ""


def _variable(provider: Provider, key: str) -> str:
    """What to set in the environment."""
    name = provider.name.upper()
    return f"{name}_{key}" if provider.name in builtin.NAMES else f"TRUNKLINE_PROVIDERS__{name}__{key}"
