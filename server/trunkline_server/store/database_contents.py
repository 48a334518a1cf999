"""The bytes of files in the database: a large object for each piece, so that a dump has all of it."""

from __future__ import annotations

from uuid import UUID

from trunkline_server.core.errors import store_unavailable
from trunkline_server.store import queries
from trunkline_server.store.contents import PUT_S_MAX
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)


class DatabaseContents:
    """Pieces take longer than other statements, and so have a time of their own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, piece_id: UUID, data: bytes) -> None:
        """The name and the bytes by one statement, or none of them."""
        async with self._database.patient(PUT_S_MAX) as connection:
            await connection.execute(_SQL.put, piece_id, data)

    async def get(self, piece_id: UUID) -> bytes:
        async with self._database.patient(PUT_S_MAX) as connection:
            data: bytes | None = await connection.fetchval(_SQL.get, piece_id)
        if data is None:
            raise store_unavailable()
        return data

    async def delete(self, piece_id: UUID) -> None:
        async with self._database.patient(PUT_S_MAX) as connection:
            await connection.execute(_SQL.delete, piece_id)

    async def close(self) -> None:
        """The database is closed by whoever opened it."""
