"""A connection held by one user for good: a third of the cost of borrowing from the pool. It comes back by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from trunkline_server.core.errors import store_unavailable
from trunkline_server.store.connection import DatabaseSettings, connect
from trunkline_server.store.outage import is_outage


class Held:
    """One statement at a time: the user sees to that. After an outage the next statement connects anew."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        """All rows."""
        with self._watched():
            return await (await self._live()).fetch(query, *args)

    async def fetchrow(self, query: str, *args: object) -> asyncpg.Record | None:
        """The first row."""
        with self._watched():
            return await (await self._live()).fetchrow(query, *args)

    async def fetchval(self, query: str, *args: object) -> Any:
        """The first column of the first row."""
        with self._watched():
            return await (await self._live()).fetchval(query, *args)

    async def execute(self, query: str, *args: object) -> str:
        """The command tag, as `UPDATE 1`."""
        with self._watched():
            return await (await self._live()).execute(query, *args)

    async def close(self) -> None:
        """Gives the connection up; waits for nobody."""
        self._drop()

    async def _live(self) -> asyncpg.Connection[asyncpg.Record]:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._settings)
        return self._connection

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """After an outage or a cancellation nobody knows what the connection still carries, so it goes."""
        try:
            yield
        except Exception as error:
            if is_outage(error):
                self._drop()
                raise store_unavailable() from error
            raise
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
