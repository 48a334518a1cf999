"""Prices that were set while the gateway ran, and those that providers told: rows are only added."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeAlias

import asyncpg
import msgspec

from trunkline_server.core.price_request import dated
from trunkline_server.core.pricing import Price, Tier
from trunkline_server.store import queries
from trunkline_server.store.connection import Connection
from trunkline_server.store.database import Database

LEARNED: Final = "provider"
"""The source of a price that a provider told."""

Tiers: TypeAlias = tuple[Tier, ...]

_SQL = queries.load(__file__)
_TIERS: Final = msgspec.json.Decoder(Tiers)


class Prices:
    """The tables of prices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> dict[str, list[Price]]:
        """By full name of the model, in the order in which they were set. Raises ValueError where a row is no price."""
        return _by_name(await self._database.fetch(_SQL.all))

    async def add(self, provider: str, model: str, price: Price, set_by: str) -> None:
        """Set a price for a model."""
        what = (price.version, price.effective_time, _spelled(price.tiers), price.source)
        await self._database.execute(_SQL.add, provider, model, *what, set_by)

    async def learned(self) -> dict[str, list[Price]]:
        """What providers told, by full name of the model and time. Raises ValueError where a row is no price."""
        return _by_name(await self._database.fetch(_SQL.learned))

    async def learn(self, provider: str, told: Mapping[str, Tiers]) -> dict[str, Price]:
        """Note what a provider tells by model; what is new or has changed counts from now on, and is returned."""
        async with self._database.transaction() as connection:
            await connection.execute(_SQL.lock, provider)
            before = {row["model"]: row["tiers"] for row in await connection.fetch(_SQL.latest, provider)}
            now = datetime.now(UTC)
            changed = {
                model: dated(now, tiers, LEARNED)
                for model, tiers in told.items()
                if model not in before or _TIERS.decode(before[model]) != tiers
            }
            await _put(connection, provider, changed)
        return changed


async def _put(connection: Connection, provider: str, prices: Mapping[str, Price]) -> None:
    if prices:
        rows = [(each.version, each.effective_time, _spelled(each.tiers)) for each in prices.values()]
        await connection.execute(_SQL.learn, provider, list(prices), *map(list, zip(*rows, strict=True)))


def _by_name(rows: Iterable[asyncpg.Record]) -> dict[str, list[Price]]:
    prices: defaultdict[str, list[Price]] = defaultdict(list)
    for row in rows:
        prices[f"{row['provider']}/{row['model']}"].append(_price(row))
    return dict(prices)


def _price(row: asyncpg.Record) -> Price:
    moment = row["effective_time"].astimezone(UTC)
    return Price(row["version"], moment.date(), _TIERS.decode(row["tiers"]), moment.time(), row["source"])


def _spelled(tiers: Tiers) -> str:
    return msgspec.json.encode(tiers).decode()
