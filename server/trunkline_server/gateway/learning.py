"""Keeps the catalogue at what the tables say: read at the start, again whenever they change, and swapped as a whole."""

from __future__ import annotations

from typing import Final

from trunkline_server.core.learned import Learned
from trunkline_server.gateway.mirror import Mirror
from trunkline_server.gateway.routes import Routes
from trunkline_server.store.aliases import Aliases
from trunkline_server.store.database import Database
from trunkline_server.store.offers import CHANNEL, Offers
from trunkline_server.store.prices import Prices


class Learning(Mirror):
    """The tables of offers, prices and aliases, and the catalogue that they make."""

    channel = CHANNEL
    name = "catalogue"

    def __init__(self, routes: Routes, database: Database) -> None:
        super().__init__(database)
        self.offers: Final = Offers(database)
        self.aliases: Final = Aliases(database)
        self.prices: Final = Prices(database)
        self._routes = routes
        self._base = routes.catalogue

    async def _read(self) -> None:
        learned = Learned(await self.offers.all(), await self.prices.all(), await self.aliases.all())
        self._routes.use(self._base.with_learned(learned))
