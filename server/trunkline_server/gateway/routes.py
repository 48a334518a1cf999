"""Which provider and model a name means for a caller, and at what price."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Final
from uuid import UUID

from trunkline_server.core.call import Caller
from trunkline_server.core.catalogue import Catalogue
from trunkline_server.core.errors import Reason, TrunklineError, not_found
from trunkline_server.core.model import ModelEntry
from trunkline_server.core.pricing import Price
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
    own_key: bool = False
    """It goes out with a key of the tenant's own."""

    @property
    def provider(self) -> str:
        return self.upstream.name


class Routes:
    """Finds routes; everything is in memory, and what was found for a name is kept until a price changes."""

    def __init__(self, catalogue: Catalogue, registry: Registry) -> None:
        self.registry = registry
        self._own: Mapping[UUID, Mapping[str, Upstream]] = {}
        self._found: dict[str | tuple[UUID, str], Route] = {}
        self.use(catalogue)

    def use(self, catalogue: Catalogue) -> None:
        """Find models and prices here from now on; calls that run keep theirs."""
        self.catalogue = catalogue
        self._forget()

    def use_own(self, own: Mapping[UUID, Mapping[str, Upstream]]) -> None:
        """By tenant and provider: what goes out with a key of the tenant's own from now on."""
        self._own = own
        self._forget()

    def providers(self, caller: Caller) -> Mapping[str, Provider]:
        """The providers that are on for a caller, in the order in which a bare model name looks for one."""
        registry, own = self.registry, self._own.get(caller.tenant_id, NOTHING)
        enabled = registry.enabled
        if own:
            enabled = [name for name in registry.names if name in own or name in enabled]
        return {name: (own.get(name) or registry.upstream(name)).provider for name in enabled}

    def find(self, name: str, caller: Caller) -> Route:
        """The route of a name; that of an alias is the first of its models that the caller can call.

        Raises MODEL_NOT_FOUND, MODEL_NOT_ALLOWED, PROVIDER_DISABLED.
        """
        if time.time() >= self._good_until or len(self._found) >= NAMES_MAX:
            self._forget()
        models = self.catalogue.aliases.get(name)
        return self.find_model(name, caller) if models is None else self._first(models, caller)

    def find_model(self, name: str, caller: Caller) -> Route:
        """The same, of a name that is no alias."""
        key = (caller.tenant_id, name) if self._own and caller.tenant_id in self._own else name
        route = self._found.get(key)
        if route is None:
            route = self._found[key] = self._look_up(name, caller)
        _require(caller, route.provider, route.model, name)
        return route

    def _first(self, models: Sequence[str], caller: Caller) -> Route:
        refusals = []
        for name in models:
            try:
                return self.find_model(name, caller)
            except TrunklineError as error:
                refusals.append(error)
        raise refusals[0]

    def _forget(self) -> None:
        self._found.clear()
        change = self.catalogue.next_change(datetime.now(UTC))
        self._good_until = change.timestamp() if change else inf

    def _look_up(self, name: str, caller: Caller) -> Route:
        candidates = self.catalogue.candidates(name, tuple(self.providers(caller)))
        if not candidates:
            raise not_found("model", name, Reason.MODEL_NOT_FOUND)
        provider, model = candidates[0]
        _require(caller, provider, model, name)
        own = self._own.get(caller.tenant_id, NOTHING).get(provider)
        upstream = own or self.registry.upstream(provider)
        entry = self.catalogue.find(provider, model)
        if entry is None and upstream.provider.closed:
            raise not_found("model", name, Reason.MODEL_NOT_FOUND)
        price = entry.price_at(datetime.now(UTC)) if entry else None
        return Route(upstream, model, entry, price, own is not None)


def _require(caller: Caller, provider: str, model: str, name: str) -> None:
    if not caller.may_use(provider, model):
        raise TrunklineError(Reason.MODEL_NOT_ALLOWED, f"the API key may not use the model {name!r}")
