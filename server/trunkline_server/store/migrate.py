"""Brings a database to the schema of this code: numbered `.sql` files, each applied once, each in its own transaction.

An advisory lock lets one of many starters do it. The hash of each applied file is kept: a released file is not edited.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files

import asyncpg

from trunkline_server.store import queries
from trunkline_server.store.outage import outage_told

_SQL = queries.load(__file__)
_LOCK = 0x7472756E6B6C696E  # the letters "trunklin": a number that nobody else takes


class MigrationError(Exception):
    """The database and this code do not fit together; the message says why, for the operator."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `0001_base.sql`."""

    name: str
    sql: str

    @property
    def sha256(self) -> bytes:
        """What is remembered of an applied file."""
        return hashlib.sha256(self.sql.encode()).digest()


def bundled() -> list[Migration]:
    """The files that come with this code, in order."""
    folder = files("trunkline_server.store") / "migrations"
    found = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [Migration(file.name, file.read_text("utf-8")) for file in found]


async def migrate(url: str, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Applies what is missing and returns its names. Raises MigrationError where database and files differ."""
    async with _connected(url) as connection:
        await connection.execute(_SQL.lock, _LOCK)  # ends with the connection
        await connection.execute(_SQL.create)
        missing = await _missing(connection, bundled() if migrations is None else migrations)
        for migration in missing:
            await _apply(connection, migration)
    return [migration.name for migration in missing]


async def pending(url: str, migrations: Sequence[Migration] | None = None) -> list[str]:
    """The names that `migrate` would apply; changes nothing."""
    expected = bundled() if migrations is None else migrations
    async with _connected(url) as connection:
        if not await connection.fetchval(_SQL.exists):
            return [migration.name for migration in expected]
        return [migration.name for migration in await _missing(connection, expected)]


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    with outage_told():
        connection = await asyncpg.connect(url, timeout=10)
        try:
            yield connection
        finally:
            await connection.close(timeout=5)


async def _missing(connection: asyncpg.Connection[asyncpg.Record], expected: Sequence[Migration]) -> list[Migration]:
    applied = {row["name"]: row["sha256"] for row in await connection.fetch(_SQL.applied)}
    if unknown := sorted(applied.keys() - {migration.name for migration in expected}):
        raise MigrationError(f"the database is newer than this program: it has {unknown[-1]!r}; start a newer version")
    for migration in expected:
        if applied.get(migration.name, migration.sha256) != migration.sha256:
            raise MigrationError(
                f"migration {migration.name!r} was changed after it was applied; put the old file back"
            )
    return [migration for migration in expected if migration.name not in applied]


async def _apply(connection: asyncpg.Connection[asyncpg.Record], migration: Migration) -> None:
    async with connection.transaction():
        try:
            await connection.execute(migration.sql)
        except asyncpg.InsufficientPrivilegeError as error:
            raise MigrationError(f"migration {migration.name!r}: {error}; {error.hint}") from error
        except asyncpg.PostgresError as error:
            error.add_note(f"in migration {migration.name!r}")
            raise
        await connection.execute(_SQL.record, migration.name, migration.sha256)
