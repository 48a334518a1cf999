"""Which providers and models a name means for a caller, at what price, and what stands behind them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import Final, Self
from uuid import UUID

from trunkline_server.core.call import Caller
from trunkline_server.core.catalogue import Catalogue
from trunkline_server.core.errors import Reason, TrunklineError, not_found
from trunkline_server.core.model import ModelEntry
from trunkline_server.core.pricing import Price
from trunkline_server.gateway.line import Line, LineSettings
from trunkline_server.gateway.lines import Lines
from trunkline_server.gateway.tuned import Tuned
from trunkline_server.providers.provider import Provider, Upstream
from trunkline_server.providers.registry import Registry

NOTHING: Final[Mapping[str, Upstream]] = {}
NAMES_MAX: Final = 4096
"""Names come from callers, so what is remembered about them is bounded."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call goes. `entry` and `price` are None for a model that its provider may have and we do not know."""

    upstream: Upstream
    model: str
    entry: ModelEntry | None
    price: Price | None
    line: Line = field(repr=False, compare=False)
    provider: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "provider", self.upstream.name)

    @property
    def own_key(self) -> bool:
        """It goes out with a key of the tenant's own."""
        return self.line.trunk.is_own

    @property
    def context_window(self) -> int:
        """0: not known."""
        return self.entry.context_window if self.entry else 0


@dataclass(frozen=True, slots=True)
class Chain:
    """Where calls to a name can go, each once: `routes`, of which the first `meant` are what the name itself means.

    `whole` may have one more, which is asked when nothing else is left, whatever the strategy says.
    """

    routes: tuple[Route, ...]
    meant: int
    whole: tuple[Route, ...]

    @classmethod
    def of(cls, meant: Iterable[Route], behind: Iterable[Route], last: Route | None = None) -> Self:
        first = {(route.provider, route.model): route for route in meant}
        once = tuple((first | {(route.provider, route.model): route for route in behind}).values())
        return cls(once, len(first), once if last is None or last in once else (*once, last))

    def filtered(self, is_wanted: Callable[[Route], bool]) -> Chain:
        """With these alone."""
        meant = sum(map(is_wanted, self.routes[: self.meant]))
        return Chain(tuple(filter(is_wanted, self.routes)), meant, tuple(filter(is_wanted, self.whole)))


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """What the operator puts behind models: by the name that was asked for, `provider/model`, model or provider.

    An entry is a model, or a provider, which then is asked for the model of the same name.
    """

    chains: Mapping[str, Sequence[str]] = field(default_factory=dict)
    universal: str = ""

    def behind(self, name: str, provider: str, model: str) -> Sequence[str]:
        """Of the first of those names that has any."""
        keys = (name, f"{provider}/{model}", model, provider)
        return next((self.chains[key] for key in keys if key in self.chains), ())


class Routes:
    """Finds routes; everything is in memory, and what was found for a name is kept until a price changes."""

    def __init__(
        self,
        catalogue: Catalogue,
        registry: Registry,
        lines: Lines | None = None,
        fallbacks: Fallbacks | None = None,
    ) -> None:
        self.registry = registry
        self.lines = lines or Lines(LineSettings())
        self._fallbacks = fallbacks or Fallbacks()
        self._own: Mapping[UUID, Mapping[str, Upstream]] = {}
        self._tuned: Tuned | None = None
        self._apart: frozenset[UUID] = frozenset()
        self._found: dict[str | tuple[UUID, str], Chain] = {}
        self.use(catalogue)

    def use(self, catalogue: Catalogue) -> None:
        """Find models and prices here from now on; calls that run keep theirs."""
        self.catalogue = catalogue
        self._forget()

    def use_own(self, own: Mapping[UUID, Mapping[str, Upstream]]) -> None:
        """By tenant and provider: what goes out with a key of the tenant's own from now on."""
        self._own = own
        self.lines.keep_own({(tenant_id, provider) for tenant_id, ways in own.items() for provider in ways})
        self._forget()

    def use_tuned(self, tuned: Tuned) -> None:
        """Trained models, each of which is there for its tenant alone."""
        self._tuned = tuned
        self._forget()

    def listing(self, caller: Caller, provider: str = "") -> Sequence[ModelEntry]:
        """The models by provider and name, with the caller's own and without those of other tenants."""
        listed, tuned = self.catalogue.listing(provider), self._tuned
        if tuned is None or not tuned.models:
            return listed
        shared = (each for each in listed if not tuned.has(each.provider, each.model))
        own = (each for each in tuned.of(self.catalogue, caller.tenant_id) if provider in ("", each.provider))
        return sorted((*shared, *own), key=lambda entry: (entry.provider, entry.model))

    def has_own(self, tenant_id: UUID, provider: str) -> bool:
        """Whether a tenant's calls to a provider go out with a key of its own."""
        return provider in self._own.get(tenant_id, NOTHING)

    def providers(self, caller: Caller) -> Mapping[str, Provider]:
        """The providers that are on for a caller, in the order in which a bare model name looks for one."""
        return {name: upstream.provider for name, upstream in self._upstreams(caller).items()}

    def upstream(self, provider: str, caller: Caller) -> Upstream:
        """The way of a caller to a provider. Raises PROVIDER_DISABLED."""
        upstream = self._upstreams(caller).get(provider)
        if upstream is None:
            raise self.registry.disabled(provider)
        return upstream

    def find(self, name: str, caller: Caller) -> Route:
        """What a name means first for a caller. Raises MODEL_NOT_FOUND, MODEL_NOT_ALLOWED, PROVIDER_DISABLED."""
        chain = self.chain(name, caller)
        return _first(chain.routes[: chain.meant], caller, name)

    def find_model(self, name: str, caller: Caller) -> Route:
        """The same, of a name that is no alias."""
        return _first(self._having(name, caller), caller, name)

    def chain(self, name: str, caller: Caller) -> Chain:
        """Everything that a name can lead to, allowed to the caller or not. Raises as `find` does."""
        if time.time() >= self._good_until or len(self._found) >= NAMES_MAX:
            self._forget()
        key = (caller.tenant_id, name) if self._apart and caller.tenant_id in self._apart else name
        chain = self._found.get(key)
        if chain is None:
            chain = self._found[key] = self._look_up(name, caller)
        return chain

    def stands_in_a_chain(self, name: str) -> bool:
        """The operator names it as a fallback."""
        return any(name in chain for chain in self._fallbacks.chains.values())

    def unknown_fallbacks(self) -> list[str]:
        """Names in the operator's chains that mean nothing."""
        names = {name for chain in self._fallbacks.chains.values() for name in chain}
        return sorted(name for name in names if not self._is_known(name))

    def _is_known(self, name: str) -> bool:
        """As a provider, on or off, as an alias, or as a model that one of them is known to have."""
        listed = [each.name for each in self.registry.listing()]
        if name in listed or name in self.catalogue.aliases or self.catalogue.candidates(name, self.registry.enabled):
            return True
        return any(self._is_known_at(each, name) for each in listed)

    def _is_known_at(self, provider: str, model: str) -> bool:
        entry = self.catalogue.find(provider, model)
        return entry is not None and not entry.is_any

    def _forget(self) -> None:
        self._found.clear()
        self._apart = frozenset(self._own) | (self._tuned.tenants if self._tuned else frozenset())
        change = self.catalogue.next_change(datetime.now(UTC))
        self._good_until = change.timestamp() if change else inf

    def _upstreams(self, caller: Caller) -> Mapping[str, Upstream]:
        """Of the providers that are on for a caller; with a key of the tenant's own where there is one."""
        registry, own = self.registry, self._own.get(caller.tenant_id, NOTHING)
        enabled = registry.enabled
        if own:
            enabled = [name for name in registry.names if name in own or name in enabled]
        return {name: own.get(name) or registry.upstream(name) for name in enabled}

    def _look_up(self, name: str, caller: Caller) -> Chain:
        meant = self._meant(name, caller)
        provider, model = meant[0].provider, meant[0].model
        enabled = tuple(self._upstreams(caller))
        entries = self._fallbacks.behind(name, provider, model)
        pairs = (pair for entry in entries for pair in self._entry(entry, model, enabled))
        behind = [route for each in pairs if (route := self._route(*each, caller))]
        return Chain.of(meant, behind, self._universal(provider, model, caller))

    def _meant(self, name: str, caller: Caller) -> list[Route]:
        """Of a tenant's own name: the model that was trained for it. Of an alias: its models in their order, as far as
        they can be called. Raises why the first one cannot."""
        if self._tuned is not None and (own := self._tuned.meant(caller.tenant_id, name)):
            return self._at([own], name, caller)
        models = self.catalogue.aliases.get(name)
        if models is None:
            return self._having(name, caller)
        routes: list[Route] = []
        refusals = []
        for model in models:
            try:
                routes += self._having(model, caller)
            except TrunklineError as error:
                refusals.append(error)
        if not routes:
            raise refusals[0]
        return routes

    def _having(self, name: str, caller: Caller) -> list[Route]:
        """At each provider that has a model."""
        return self._at(self.catalogue.candidates(name, tuple(self._upstreams(caller))), name, caller)

    def _at(self, pairs: Sequence[tuple[str, str]], name: str, caller: Caller) -> list[Route]:
        """Those of these places that can be called. Raises why there is none."""
        routes = [route for each in pairs if (route := self._route(*each, caller))]
        if not routes:
            raise self._missing(name, pairs, caller)
        return routes

    def _missing(self, name: str, pairs: Iterable[tuple[str, str]], caller: Caller) -> TrunklineError:
        """Why a name leads nowhere."""
        for provider, model in (*pairs, *self._off(name, caller)):
            if not caller.may_use(provider, model):
                return not_allowed(name)
            if provider not in self._upstreams(caller):
                return self.registry.disabled(provider)
        return not_found("model", name, Reason.MODEL_NOT_FOUND)

    def _off(self, name: str, caller: Caller) -> Iterator[tuple[str, str]]:
        """Where a bare name would lead if the provider were on."""
        foreign = self._tuned.is_foreign if self._tuned else None
        for provider in (each for each in self.registry.names if each not in self._upstreams(caller)):
            if self._is_known_at(provider, name) and not (foreign and foreign(caller.tenant_id, provider, name)):
                yield provider, name

    def _entry(self, entry: str, model: str, enabled: Sequence[str]) -> Iterator[tuple[str, str]]:
        """What an entry of a chain means now: a provider that model there, an alias its models, another name a model.

        Aliases mean no aliases, and what is in a chain brings no chain of its own, so this comes to an end.
        """
        if entry in enabled:
            yield entry, model
            return
        for name in self.catalogue.aliases.get(entry, (entry,)):
            yield from self.catalogue.candidates(name, enabled)[:1]

    def _universal(self, provider: str, model: str, caller: Caller) -> Route | None:
        """The same model at the provider that has nearly all of them, if it has this one."""
        universal = self._fallbacks.universal
        if universal == provider or (upstream := self._upstreams(caller).get(universal)) is None:
            return None
        spell = upstream.provider.foreign_names
        names = spell(provider, model) if spell else (f"{provider}/{model}",)
        having = (name for name in names if (entry := self.catalogue.find(universal, name)) and not entry.is_any)
        found = next(having, None)
        return self._route(universal, found, caller) if found else None

    def _route(self, provider: str, model: str, caller: Caller) -> Route | None:
        """None where a provider is off, or is one whose models we all know and has no such one."""
        if self._tuned is not None and self._tuned.is_foreign(caller.tenant_id, provider, model):
            return None
        upstream = self._upstreams(caller).get(provider)
        own = self._tuned.entry(self.catalogue, provider, model) if self._tuned else None
        entry = own or self.catalogue.find(provider, model)
        if upstream is None or (entry is None and upstream.provider.closed):
            return None
        price = entry.price_at(datetime.now(UTC)) if entry else None
        owner = caller.tenant_id if self.has_own(caller.tenant_id, provider) else None
        return Route(upstream, model, entry, price, self.lines.line(provider, model, owner))


def not_allowed(name: str) -> TrunklineError:
    return TrunklineError(Reason.MODEL_NOT_ALLOWED, f"the API key may not use the model {name!r}")


def _first(routes: Iterable[Route], caller: Caller, name: str) -> Route:
    """That the caller may use."""
    allowed = next((route for route in routes if caller.may_use(route.provider, route.model)), None)
    if allowed is None:
        raise not_allowed(name)
    return allowed
