"""Which provider and model a name means for a caller, and at what price."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from trunkline_server.core.call import Caller
from trunkline_server.core.catalogue import Catalogue
from trunkline_server.core.errors import Reason, TrunklineError, not_found
from trunkline_server.core.model import ModelEntry
from trunkline_server.core.pricing import Price
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

    @property
    def provider(self) -> str:
        return self.upstream.name


class Routes:
    """Finds routes; everything is in memory, and what was found for a name is kept for the day."""

    def __init__(self, catalogue: Catalogue, registry: Registry) -> None:
        self.registry = registry
        self._found: dict[str, Route] = {}
        self._day = 0
        self.use(catalogue)

    def use(self, catalogue: Catalogue) -> None:
        """Find models and prices here from now on; calls that run keep theirs."""
        self.catalogue = catalogue
        self._found.clear()

    def find(self, name: str, caller: Caller) -> Route:
        """Raises MODEL_NOT_FOUND, MODEL_NOT_ALLOWED, PROVIDER_DISABLED."""
        day = int(time.time()) // DAY_S
        if day != self._day or len(self._found) >= NAMES_MAX:
            self._found.clear()
            self._day = day
        route = self._found.get(name)
        if route is None:
            route = self._found[name] = self._look_up(name, caller)
        _require(caller, route.provider, route.model, name)
        return route

    def _look_up(self, name: str, caller: Caller) -> Route:
        candidates = self.catalogue.candidates(name, self.registry.enabled)
        if not candidates:
            raise not_found("model", name, Reason.MODEL_NOT_FOUND)
        provider, model = candidates[0]
        _require(caller, provider, model, name)
        upstream = self.registry.upstream(provider)
        entry = self.catalogue.find(provider, model)
        if entry is None and upstream.provider.closed:
            raise not_found("model", name, Reason.MODEL_NOT_FOUND)
        return Route(upstream, model, entry, entry.price_on(datetime.now(UTC).date()) if entry else None)


def _require(caller: Caller, provider: str, model: str, name: str) -> None:
    if not caller.may_use(provider, model):
        raise TrunklineError(Reason.MODEL_NOT_ALLOWED, f"the API key may not use the model {name!r}")
