"""Prices that were set while the gateway ran: rows are only added."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC
from typing import Final

import asyncpg
import msgspec

from trunkline_server.core.pricing import Price, Tier
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)
_TIERS: Final = msgspec.json.Decoder(tuple[Tier, ...])


class Prices:
    """The table of prices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> dict[str, list[Price]]:
        """By full name of the model, in the order in which they were set. Raises ValueError where a row is no price."""
        prices: defaultdict[str, list[Price]] = defaultdict(list)
        for row in await self._database.fetch(_SQL.all):
            prices[f"{row['provider']}/{row['model']}"].append(_price(row))
        return dict(prices)

    async def add(self, provider: str, model: str, price: Price, set_by: str) -> None:
        """Set a price for a model."""
        tiers = msgspec.json.encode(price.tiers).decode()
        what = (price.version, price.effective_time, tiers, price.source)
        await self._database.execute(_SQL.add, provider, model, *what, set_by)


def _price(row: asyncpg.Record) -> Price:
    moment = row["effective_time"].astimezone(UTC)
    tiers = _TIERS.decode(row["tiers"])
    return Price(row["version"], moment.date(), tiers, moment.time(), row["source"])
