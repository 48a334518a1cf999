"""Trained models in memory: read at the start, and again whenever one is trained, named, or loses its name."""

from __future__ import annotations

from collections import defaultdict
from typing import Final
from uuid import UUID

from trunkline_server.core.call import Caller
from trunkline_server.core.errors import TrunklineError
from trunkline_server.gateway.mirror import Mirror
from trunkline_server.gateway.routes import Routes
from trunkline_server.gateway.tuned import Place, Tuned, TunedModel
from trunkline_server.gateway.tuning.tariffs import Tariffs
from trunkline_server.store.database import Database
from trunkline_server.store.tuned_models import CHANNEL, TunedTables


class TunedModels(Mirror):
    """What is known of whom."""

    channel = CHANNEL
    name = "tuned_models"

    def __init__(self, routes: Routes, database: Database, tariffs: Tariffs) -> None:
        super().__init__(database)
        self.tables: Final = TunedTables(database)
        self._routes = routes
        self._tariffs = tariffs

    async def follow(self) -> None:
        """Hear of changes, and know what is there already. Raises STORE_UNAVAILABLE: a start without this would let
        tenants call each other's models."""
        await self._listen()
        await self._read_alone()

    async def _read(self) -> None:
        names: defaultdict[UUID, dict[str, Place]] = defaultdict(dict)
        called: dict[Place, str] = {}
        for each in await self.tables.names():
            names[each.tenant_id][each.name] = (each.provider, each.model)
            called[each.provider, each.model] = each.name
        models = {
            (provider, model): TunedModel(owner, base_model, called.get((provider, model), ""))
            for owner, provider, base_model, model in await self.tables.trained()
        }
        self._routes.use_tuned(Tuned(self._tariffs.trained, models, dict(names)))

    def price_version(self, caller: Caller, provider: str, model: str) -> str:
        """What calls to a tenant's model are charged by; empty where they are not."""
        try:
            price = self._routes.find_model(f"{provider}/{model}", caller).price
        except TrunklineError:
            return ""
        return price.version if price else ""

    def is_shared(self, name: str) -> bool:
        """Whether it means a model that is there for everybody."""
        catalogue = self._routes.catalogue
        known = catalogue.candidates(name, self._routes.registry.names)
        return name in catalogue.aliases or any(
            (entry := catalogue.find(*place)) and not entry.is_any for place in known
        )
