"""Which provider and model a name means for a caller, and at what price."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from trunkline_server.core.call import Caller
from trunkline_server.core.catalogue import Catalogue
from trunkline_server.core.errors import Reason, TrunklineError, not_found
from trunkline_server.core.model import ModelEntry
from trunkline_server.core.pricing import Price
from trunkline_server.providers.provider import Upstream
from trunkline_server.providers.registry import Registry


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
    """Finds routes; everything is in memory."""

    def __init__(self, catalogue: Catalogue, registry: Registry) -> None:
        self.catalogue = catalogue
        self.registry = registry

    def find(self, name: str, caller: Caller) -> Route:
        """Raises MODEL_NOT_FOUND, MODEL_NOT_ALLOWED, PROVIDER_DISABLED."""
        candidates = self.catalogue.candidates(name, self.registry.enabled)
        if not candidates:
            raise not_found("model", name, Reason.MODEL_NOT_FOUND)
        provider, model = candidates[0]
        if not caller.may_use(provider, model):
            raise TrunklineError(Reason.MODEL_NOT_ALLOWED, f"the API key may not use the model {name!r}")
        upstream = self.registry.upstream(provider)
        entry = self.catalogue.find(provider, model)
        if entry is None and upstream.provider.closed:
            raise not_found("model", name, Reason.MODEL_NOT_FOUND)
        return Route(upstream, model, entry, entry.price_on(datetime.now(UTC).date()) if entry else None)
