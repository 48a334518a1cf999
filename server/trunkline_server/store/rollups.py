"""Sums made in advance, from the rows of usage: hour by hour once they are over, and dropped by the month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)

STEP_S: Final = 60.0
STEPS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Rollups:
    """Any number of replicas may do it at once; each step is whole or not at all."""

    database: Database
    keep: timedelta

    async def catch_up(self, steps_max: int = STEPS_MAX) -> bool:
        """Sums what is over; a step is at most a day. False: there is more, or somebody was writing for too long."""
        if not await self.database.fetchval(_SQL.due):
            return True
        quiet = await self.database.fetchval(_SQL.quiet)
        for _ in range(steps_max if quiet else 0):
            if not await self._step(quiet):
                return True
        return False

    async def retain(self) -> None:
        """Drops months that are older than what is kept, and makes room for the next."""
        async with self.database.transaction() as connection:
            await connection.execute(_SQL.retain, self.keep, timeout=STEP_S)

    async def again(self, at: datetime) -> None:
        """Throws away what was summed from that day on; the next `catch_up` makes it anew."""
        async with self.database.transaction() as connection:
            await connection.execute(_SQL.patience)
            await connection.execute(_SQL.again, at, timeout=STEP_S)

    async def _step(self, quiet: datetime) -> bool:
        async with self.database.transaction() as connection:
            await connection.execute(_SQL.patience)
            more: bool = await connection.fetchval(_SQL.step, quiet, self.keep, timeout=STEP_S)
        return more
