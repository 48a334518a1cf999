"""The door to PostgreSQL for the whole store: pooled statements, transactions, held connections, announcements.

Every outage leaves here as STORE_UNAVAILABLE, within about a second. Refusals by the database (a unique key, a check)
leave as they are, for the caller to read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import asyncpg

from trunkline_server.store import queries
from trunkline_server.store.acting import ACTOR
from trunkline_server.store.confined import Confined
from trunkline_server.store.connection import Connection, DatabaseSettings, server_settings
from trunkline_server.store.held import Held
from trunkline_server.store.listener import Callback, Listener
from trunkline_server.store.outage import cancellation_kept, outage_told
from trunkline_server.store.statements import Statements

__all__ = ["Connection", "Database", "DatabaseSettings", "Held", "PoolFigures"]

_SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """Connections of the pool: those that are open, those of them that are idle, and how many there may be."""

    open_count: int
    idle_count: int
    max_count: int


class Database(Statements):
    """Opened once by the process that uses it. Nothing is dialled before it is needed."""

    def __init__(self, settings: DatabaseSettings, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._settings = settings
        self._pool = pool
        self._listener = Listener(settings)
        self._held: list[Held] = []

    @classmethod
    async def open(cls, settings: DatabaseSettings) -> Self:
        """A database that need not be there yet: statements tell."""
        pool = asyncpg.create_pool(
            settings.url,
            min_size=0,
            max_size=settings.pool_max,
            timeout=settings.connect_timeout_s,
            command_timeout=settings.command_timeout_s,
            server_settings=server_settings(settings),
            reset=_keep_session,
        )
        await pool
        return cls(settings, pool)

    async def close(self) -> None:
        """Ends every connection, also those still in use."""
        await self._listener.close()
        for held in self._held:
            await held.close()
        self._pool.terminate()

    @property
    def figures(self) -> PoolFigures:
        return PoolFigures(self._pool.get_size(), self._pool.get_idle_size(), self._pool.get_max_size())

    async def round_trip_s(self) -> float:
        """How long it takes to answer nothing. Raises STORE_UNAVAILABLE."""
        began = time.perf_counter()
        await self.execute(_SQL.ping)
        return time.perf_counter() - began

    def of(self, tenant_id: UUID) -> Confined:
        """As that tenant may see it. Three round trips dearer, so not for what every call asks."""
        return Confined(self, tenant_id)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection within a transaction: commits at the end, rolls back on an exception."""
        async with self.borrowed() as connection, connection.transaction():
            yield connection

    async def dedicated(self) -> Held:
        """A connection outside the pool for one user, until `close`."""
        held = Held(self._settings)
        self._held.append(held)
        return held

    async def listen(self, channel: str, callback: Callback) -> None:
        """Calls `callback` with each payload announced on `channel`, and with None when some may have been missed."""
        await self._listener.listen(channel, callback)

    async def notify(self, channel: str, payload: str) -> None:
        """Announces to every listener of `channel`."""
        await self.execute(_SQL.notify, channel, payload)

    @asynccontextmanager
    async def borrowed(self) -> AsyncIterator[Connection]:
        with outage_told(), cancellation_kept() as kept:
            async with self._pool.acquire(timeout=self._settings.acquire_timeout_s) as connection:
                try:
                    if actor := ACTOR.get():
                        async with connection.transaction():
                            await connection.execute(_SQL.act_as, actor)
                            yield connection
                    else:
                        yield connection
                except asyncio.CancelledError as cancelled:
                    kept.append(cancelled)
                    raise
                except TimeoutError:
                    connection.terminate()  # a server that hangs would hold the release up as well
                    raise


async def _keep_session(_connection: object) -> None:
    """Instead of the reset query (35 us a call): nothing here leaves session state behind."""
