"""Keeps the catalogue at what the tables say: read at the start, again whenever they change, and swapped as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline_server.core.learned import Learned
from trunkline_server.core.pricing import Price, Tier
from trunkline_server.gateway.mirror import Mirror
from trunkline_server.gateway.routes import Routes
from trunkline_server.store.aliases import Aliases
from trunkline_server.store.database import Database
from trunkline_server.store.offers import CHANNEL, Offers
from trunkline_server.store.prices import Prices


class Learning(Mirror):
    """The tables of offers, prices and aliases, and the catalogue that they make. `told_prices`: what providers tell
    of prices counts, for models that have no other.
    """

    channel = CHANNEL
    name = "catalogue"

    def __init__(self, routes: Routes, database: Database, *, told_prices: bool = True) -> None:
        super().__init__(database)
        self.offers: Final = Offers(database)
        self.aliases: Final = Aliases(database)
        self.prices: Final = Prices(database)
        self._routes = routes
        self._base = routes.catalogue
        self._told_prices = told_prices

    async def learn(self, provider: str, told: Mapping[str, tuple[Tier, ...]]) -> dict[str, Price]:
        """Note what a provider tells of prices, by model; what of it is new."""
        return await self.prices.learn(provider, told) if self._told_prices and told else {}

    def counting(self, provider: str, prices: Mapping[str, Price]) -> dict[str, Price]:
        """Those by which calls are charged: their models have no other."""
        entries = {model: self._routes.catalogue.find(provider, model) for model in prices}
        return {model: price for model, price in prices.items() if (of := entries[model]) and price in of.prices}

    async def _read(self) -> None:
        told = await self.prices.learned() if self._told_prices else {}
        learned = Learned(await self.offers.all(), await self.prices.all(), await self.aliases.all(), told)
        self._routes.use(self._base.with_learned(learned))
