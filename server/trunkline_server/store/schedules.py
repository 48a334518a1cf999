"""The table of schedules: when each is due, whose turn it is, and how it went."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from trunkline_server.store import queries
from trunkline_server.store.database import Database, Held

_SQL = queries.load(__file__)

CHANNEL: Final = "trunkline_schedules"


class ScheduleRow(NamedTuple):
    """`failure`: what the last run ended with; empty where it went well."""

    name: str
    every_s: float
    next_at: datetime
    begun_at: datetime | None
    ended_at: datetime | None
    failure: str
    run_count: int


class Schedules:
    """`lock` needs a connection of its own, which carries it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def know(self, name: str, every_s: float, first_s: float) -> None:
        """Remembers a schedule; a known one keeps its time."""
        await self._database.execute(_SQL.know, name, every_s, first_s)

    async def all(self) -> list[ScheduleRow]:
        return [ScheduleRow(*row) for row in await self._database.fetch(_SQL.all)]

    async def hurry(self, name: str) -> bool:
        """Makes it due now. False: there is none."""
        found = await self._database.fetchval(_SQL.hurry, name) is not None
        await self._database.notify(CHANNEL, name)
        return found

    async def lock(self, held: Held, name: str) -> bool:
        """Whether this process alone may run it now."""
        locked: bool = await held.fetchval(_SQL.lock, name)
        return locked

    async def unlock(self, held: Held, name: str) -> None:
        await held.execute(_SQL.unlock, name)

    async def begin(self, name: str) -> bool:
        """Whether it is due; then it is begun, and due again an interval from now, however many were missed."""
        return await self._database.fetchval(_SQL.begin, name) is not None

    async def end(self, name: str, failure: str) -> None:
        await self._database.execute(_SQL.end, name, failure)
