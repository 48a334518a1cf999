"""Nonces of signed requests. The database remembers them, which all replicas share and no replica can do without: what
Redis forgets or is away with costs accuracy and speed, and may cost no more than that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from trunkline_server.store import queries
from trunkline_server.store.database import Database
from trunkline_server.store.gather import Gather

_SQL = queries.load(__file__)


class Nonce(NamedTuple):
    """What one key may say once until `expire_time`."""

    key_id: str
    nonce: str
    expire_time: datetime


class Nonces:
    """The table of those that were said."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._spent: Gather[Nonce, bool] = Gather(self._spend_many, lambda nonce: nonce[:2])

    async def spend(self, nonce: Nonce) -> bool:
        """Whether it is the first time. Raises STORE_UNAVAILABLE."""
        return await self._spent.put(nonce)

    async def purge(self) -> None:
        """Forget those whose time is over."""
        await self._database.execute(_SQL.purge)

    async def _spend_many(self, nonces: Sequence[Nonce]) -> Sequence[bool]:
        rows = await self._database.fetch(_SQL.spend, *map(list, zip(*nonces, strict=True)))
        fresh = {(row["key_id"], row["nonce"]) for row in rows}
        return [nonce[:2] in fresh for nonce in nonces]
