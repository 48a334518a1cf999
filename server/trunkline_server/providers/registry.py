"""Which providers are on, and why the others are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.providers.builtin import BUILTIN, compatible
from trunkline_server.providers.client import ClientSettings, HttpTransport
from trunkline_server.providers.provider import Provider, Upstream
from trunkline_server.providers.sandbox import SANDBOX, SandboxTransport


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What the operator says about one provider."""

    enabled: bool = True
    dialect: str = ""
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Listed:
    """A provider, on or off; `missing` says what it lacks."""

    provider: Provider
    missing: str

    @property
    def enabled(self) -> bool:
        return not self.missing


class Registry:
    """Made inside the running loop; connections to a provider are made when it is first asked."""

    def __init__(self, settings: Mapping[str, ProviderSettings], client: ClientSettings) -> None:
        self._listed: dict[str, Listed] = {}
        self._upstreams: dict[str, Upstream] = {}
        self._transports: list[HttpTransport] = []
        for provider, given in _declared(settings):
            self._add(provider, given, client)
        self._add_sandbox(settings.get(SANDBOX.name, ProviderSettings()))

    @property
    def enabled(self) -> Sequence[str]:
        """Names of the providers that are on, in the order in which a bare model name looks for one."""
        return tuple(self._upstreams)

    def listing(self) -> list[Listed]:
        """All providers, by name."""
        return [self._listed[name] for name in sorted(self._listed)]

    def find(self, name: str) -> Listed | None:
        return self._listed.get(name)

    def upstream(self, name: str) -> Upstream:
        """The way to a provider. Raises PROVIDER_DISABLED."""
        upstream = self._upstreams.get(name)
        if upstream is None:
            missing = self._listed[name].missing if name in self._listed else "it is not configured"
            raise TrunklineError(Reason.PROVIDER_DISABLED, f"provider {name!r} is off: {missing}")
        return upstream

    async def close(self) -> None:
        """Close every connection."""
        for transport in self._transports:
            await transport.close()

    def _add(self, provider: Provider, given: ProviderSettings, client: ClientSettings) -> None:
        missing = _missing(provider, given)
        self._listed[provider.name] = Listed(provider, missing)
        if missing:
            return
        headers = {**(provider.sign(given.api_key) if given.api_key else {}), **given.headers}
        transport = HttpTransport(provider.base_url, headers, client)
        self._transports.append(transport)
        self._upstreams[provider.name] = Upstream(provider, transport)

    def _add_sandbox(self, given: ProviderSettings) -> None:
        self._listed[SANDBOX.name] = Listed(SANDBOX, "" if given.enabled else "it is switched off")
        if given.enabled:
            self._upstreams[SANDBOX.name] = Upstream(SANDBOX, SandboxTransport())


def _declared(settings: Mapping[str, ProviderSettings]) -> list[tuple[Provider, ProviderSettings]]:
    """Ours, with the operator's address where one is given, then the operator's own servers."""
    declared = [
        (_moved(each, settings.get(each.name)), settings.get(each.name, ProviderSettings())) for each in BUILTIN
    ]
    known = {each.name for each in BUILTIN} | {SANDBOX.name}
    own = [
        (compatible(name, given.base_url, given.dialect or "openai"), given)
        for name, given in settings.items()
        if name not in known
    ]
    return declared + own


def _moved(provider: Provider, given: ProviderSettings | None) -> Provider:
    if given is None or not given.base_url:
        return provider
    return replace(provider, base_url=given.base_url)


def _missing(provider: Provider, given: ProviderSettings) -> str:
    if not given.enabled:
        return "it is switched off"
    if not urlsplit(provider.base_url).hostname:
        return "it needs a base_url"
    if provider.needs_key and not given.api_key:
        return f"it needs an API key ({provider.name.upper()}_API_KEY)"
    return ""
