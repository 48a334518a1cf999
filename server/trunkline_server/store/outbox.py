"""The outbox: events are written in the transaction of the change, and read in the order in which they became visible.

    write (within a transaction) ──> commit ──> event_sequence gives it a position ──> everybody who reads past a cursor

A position is given only to what is committed, by one reader at a time, so a reader behind a cursor misses nothing and
sees nothing twice, however transactions overlap. Announcements only say that it is worth looking.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import asyncpg

from trunkline.v1 import events_pb2
from trunkline_server.core import event as events
from trunkline_server.core import ids
from trunkline_server.store import queries
from trunkline_server.store.database import Connection, Database

_SQL = queries.load(__file__)

CHANNEL = "trunkline_events"
EVERYONE = UUID(int=0)
"""Stands for all tenants."""
PURGE_ROWS = 10_000


class Recorded(NamedTuple):
    """An event as it stands in the table."""

    position: int
    event_id: UUID
    tenant_id: UUID
    type: str
    body: str
    create_time: datetime

    def message(self) -> events_pb2.Event:
        """As callers get it."""
        event = events.read(self.type, self.body)
        event.event_id = ids.spell("evt", self.event_id)
        event.cursor = str(self.position)
        event.create_time.FromDatetime(self.create_time)
        return event


class Batch(NamedTuple):
    """What was read, and the position up to which nothing else of it is to come."""

    events: list[Recorded]
    position: int


async def write(connection: Connection, tenant_id: UUID, *happened: events_pb2.Event) -> None:
    """Records events within the caller's transaction: they are there if and only if it commits."""
    types, bodies = [events.type_of(each) for each in happened], [events.body_of(each) for each in happened]
    await connection.execute(_SQL.write, tenant_id, types, bodies)
    await connection.execute(_SQL.announce)


class Outbox:
    """Reads events, for one tenant or for all, and keeps the places of readers that have a name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def emit(self, tenant_id: UUID, *happened: events_pb2.Event) -> None:
        """Records events that belong to no other change."""
        async with self._database.transaction() as connection:
            await write(connection, tenant_id, *happened)

    async def head(self) -> int:
        """The position of the last event; what is committed by now stands at it or before it."""
        head: int = await self._database.fetchval(_SQL.sequence)
        return head

    async def forgot(self) -> int:
        """The last position that was deleted for its age; 0 where none was."""
        position: int = await self._database.fetchval(_SQL.forgot)
        return position

    async def after(self, tenant_id: UUID, position: int, types: Sequence[str] = (), limit: int = 500) -> Batch:
        """A tenant's events behind `position`, of these types or of all."""
        head = await self.head()
        asked = (tenant_id, position, head, list(types) or None, limit)
        return _batch(await self._database.fetch(_SQL.between, *asked), head, limit)

    async def after_all(self, position: int, limit: int = 500) -> Batch:
        """Every tenant's."""
        head = await self.head()
        return _batch(await self._database.fetch(_SQL.between_all, position, head, limit), head, limit)

    async def purge(self, older_than: timedelta, limit: int = PURGE_ROWS) -> int:
        """Deletes up to `limit` events past their time; says how many."""
        count: int = await self._database.fetchval(_SQL.purge, older_than, limit)
        return count

    async def take(self, name: str, owner: UUID, lease: timedelta) -> int | None:
        """The place of a reader, for this process alone until the lease ends. None: another process reads.

        One that is new begins with what happens from now on.
        """
        place: int | None = await self._database.fetchval(_SQL.take, name, owner, await self.head(), lease)
        return place

    async def advance(self, name: str, owner: UUID, position: int, lease: timedelta) -> bool:
        """Moves it on. False: another process reads now."""
        return await self._database.execute(_SQL.advance, name, owner, position, lease) != "UPDATE 0"

    async def leave(self, name: str, owner: UUID) -> None:
        """Lets another process go on."""
        await self._database.execute(_SQL.leave, name, owner)


def _batch(rows: Sequence[asyncpg.Record], head: int, limit: int) -> Batch:
    found = [Recorded(*row) for row in rows]
    return Batch(found, found[-1].position if len(found) == limit else head)
