"""Statements that run by themselves, each on a connection that is borrowed for it, and transactions of several."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg

from trunkline_server.store.connection import Connection
from trunkline_server.store.patient import Patient


class Statements(ABC):
    """How rooms speak to the database."""

    @abstractmethod
    def borrowed(self) -> AbstractAsyncContextManager[Connection]:
        """A connection for one statement."""

    @abstractmethod
    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """A connection within a transaction: commits at the end, rolls back on an exception."""

    @asynccontextmanager
    async def patient(self, timeout_s: float) -> AsyncIterator[Patient]:
        """A transaction whose statements may take so long, and wait so long for locks."""
        async with self.transaction() as connection:
            yield await Patient.of(connection, timeout_s)

    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        """All rows."""
        async with self.borrowed() as connection:
            return await connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: object) -> asyncpg.Record | None:
        """The first row."""
        async with self.borrowed() as connection:
            return await connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: object) -> Any:
        """The first column of the first row."""
        async with self.borrowed() as connection:
            return await connection.fetchval(query, *args)

    async def execute(self, query: str, *args: object) -> str:
        """The command tag, as `UPDATE 1`."""
        async with self.borrowed() as connection:
            return await connection.execute(query, *args)
