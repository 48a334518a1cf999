"""A transaction whose statements may take longer than others, and may wait longer for locks: here as at the server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import asyncpg

from trunkline_server.store import queries
from trunkline_server.store.connection import Connection, statement_timeout

_SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Patient:
    """Each statement has `timeout_s`."""

    connection: Connection
    timeout_s: float

    @classmethod
    async def of(cls, connection: Connection, timeout_s: float) -> Self:
        """From now on, to the end of its transaction."""
        await connection.execute(_SQL.be_patient, statement_timeout(timeout_s))
        return cls(connection, timeout_s)

    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        """All rows."""
        return await self.connection.fetch(query, *args, timeout=self.timeout_s)

    async def fetchrow(self, query: str, *args: object) -> asyncpg.Record | None:
        """The first row."""
        return await self.connection.fetchrow(query, *args, timeout=self.timeout_s)

    async def fetchval(self, query: str, *args: object) -> Any:
        """The first column of the first row."""
        return await self.connection.fetchval(query, *args, timeout=self.timeout_s)

    async def execute(self, query: str, *args: object) -> str:
        """The command tag, as `UPDATE 1`."""
        return await self.connection.execute(query, *args, timeout=self.timeout_s)

    async def executemany(self, query: str, rows: Iterable[Sequence[object]]) -> None:
        """Once for each row."""
        await self.connection.executemany(query, rows, timeout=self.timeout_s)
