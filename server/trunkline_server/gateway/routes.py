"""Which providers and models a name means for a caller, at what price, and what stands behind them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Self

from trunkline_server.core.call import Caller
from trunkline_server.core.catalogue import Catalogue
from trunkline_server.core.errors import Reason, TrunklineError, not_found
from trunkline_server.core.model import ModelEntry
from trunkline_server.core.pricing import Price
from trunkline_server.gateway.lines import Line, Lines, LineSettings
from trunkline_server.providers.provider import Upstream
from trunkline_server.providers.registry import Registry

DAY_S: Final = 86_400
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

    @property
    def provider(self) -> str:
        return self.upstream.name

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
    def of(cls, routes: Iterable[Route], meant: int, last: Route | None = None) -> Self:
        once = tuple({(route.provider, route.model): route for route in routes}.values())
        return cls(once, meant, once if last is None or last in once else (*once, last))

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
    """Finds routes; everything is in memory, and what was found for a name is kept for the day."""

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
        self._found: dict[str, Chain] = {}
        self._day = 0
        self.use(catalogue)

    def use(self, catalogue: Catalogue) -> None:
        """Find models and prices here from now on; calls that run keep theirs."""
        self.catalogue = catalogue
        self._found.clear()

    def find(self, name: str, caller: Caller) -> Route:
        """What a name means first. Raises MODEL_NOT_FOUND, MODEL_NOT_ALLOWED, PROVIDER_DISABLED."""
        route = self.chain(name, caller).routes[0]
        _require(caller, route.provider, route.model, name)
        return route

    def chain(self, name: str, caller: Caller) -> Chain:
        """Everything that a name can lead to, allowed to the caller or not. Raises as `find` does."""
        day = int(time.time()) // DAY_S
        if day != self._day or len(self._found) >= NAMES_MAX:
            self._found.clear()
            self._day = day
        chain = self._found.get(name)
        if chain is None:
            chain = self._found[name] = self._look_up(name, caller)
        return chain

    def unknown_fallbacks(self) -> list[str]:
        """Names in the operator's chains that mean nothing."""
        names = {name for chain in self._fallbacks.chains.values() for name in chain}
        return sorted(name for name in names if not self._is_known(name))

    def _is_known(self, name: str) -> bool:
        """As a provider, on or off, or as a model that one of them is known to have."""
        listed = [each.name for each in self.registry.listing()]
        if name in listed or self.catalogue.candidates(name, self.registry.enabled):
            return True
        return any((entry := self.catalogue.find(each, name)) and not entry.is_any for each in listed)

    def _look_up(self, name: str, caller: Caller) -> Chain:
        candidates = self.catalogue.candidates(name, self.registry.enabled)
        if not candidates:
            raise not_found("model", name, Reason.MODEL_NOT_FOUND)
        provider, model = candidates[0]
        if len(candidates) == 1:
            _require(caller, provider, model, name)
        first = self._route(provider, model)
        if first is None:
            raise not_found("model", name, Reason.MODEL_NOT_FOUND)
        others = [route for each in candidates[1:] if (route := self._route(*each))]
        behind = [route for each in self._behind(name, provider, model) if (route := self._route(*each))]
        return Chain.of([first, *others, *behind], 1 + len(others), self._universal(provider, model))

    def _behind(self, name: str, provider: str, model: str) -> Iterator[tuple[str, str]]:
        """What the operator put behind a name, as far as it is on."""
        enabled = self.registry.enabled
        for each in self._fallbacks.behind(name, provider, model):
            meant = [(each, model)] if each in enabled else self.catalogue.candidates(each, enabled)
            yield from [pair for pair in meant[:1] if pair[0] in enabled]

    def _universal(self, provider: str, model: str) -> Route | None:
        """The same model at the provider that has nearly all of them, if it has this one."""
        universal = self._fallbacks.universal
        if universal not in self.registry.enabled or universal == provider:
            return None
        spell = self.registry.upstream(universal).provider.foreign_names
        names = spell(provider, model) if spell else (f"{provider}/{model}",)
        having = (name for name in names if (entry := self.catalogue.find(universal, name)) and not entry.is_any)
        found = next(having, None)
        return self._route(universal, found) if found else None

    def _route(self, provider: str, model: str) -> Route | None:
        """None where a provider whose models we all know has no such one. Raises PROVIDER_DISABLED."""
        upstream = self.registry.upstream(provider)
        entry = self.catalogue.find(provider, model)
        if entry is None and upstream.provider.closed:
            return None
        price = entry.price_on(datetime.now(UTC).date()) if entry else None
        return Route(upstream, model, entry, price, self.lines.line(provider, model))


def not_allowed(name: str) -> TrunklineError:
    return TrunklineError(Reason.MODEL_NOT_ALLOWED, f"the API key may not use the model {name!r}")


def _require(caller: Caller, provider: str, model: str, name: str) -> None:
    if not caller.may_use(provider, model):
        raise not_allowed(name)
