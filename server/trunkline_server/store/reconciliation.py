"""Checks the books against themselves: every balance, hold and charge must equal the transfers behind it.

An audit of the whole past reads every transfer. A quick one begins where the last good one ended, account by account,
and so does not grow with the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from trunkline_server.store import queries
from trunkline_server.store.database import Connection, Database
from trunkline_server.store.holds import moved

_SQL = queries.load(__file__)

LIMIT_S: Final = 600.0


class Finding(msgspec.Struct, frozen=True):
    """Something that does not add up: which rule, for which account or hold, and by which numbers."""

    rule: str
    subject: str
    detail: str


class Audit(msgspec.Struct, frozen=True):
    """What an audit looked at, and what it found."""

    findings: list[Finding]
    accounts: int
    transfers: int
    duration_ms: int


async def audit(database: Database) -> list[Finding]:
    """The whole past. An empty list is the good answer."""
    return (await examine(database, whole=True)).findings


async def examine(database: Database, *, whole: bool) -> Audit:
    """Reads everything in one snapshot, so it is right under load too; notes that it was done, and how far."""
    async with database.transaction() as connection:
        await _begin(connection)
        await connection.execute(_SQL.wait, timeout=LIMIT_S)
        return await _examined(connection, whole=whole)


async def examine_if_due(database: Database, every: timedelta) -> Audit | None:
    """A quick audit, where no replica is at one or has just done it."""
    async with database.transaction() as connection:
        await _begin(connection)
        try:
            await connection.execute(_SQL.alone)
        except asyncpg.LockNotAvailableError:
            return None
        if not await connection.fetchval(_SQL.due, every):
            return None
        await connection.execute(_SQL.forget)
        return await _examined(connection, whole=False)


async def tell(database: Database, findings: Sequence[Finding]) -> None:
    """As events of the tenants whose accounts they are about, each once a day."""
    rules, subjects = [finding.rule for finding in findings], [finding.subject for finding in findings]
    await database.execute(_SQL.tell, rules, subjects)


async def _begin(connection: Connection) -> None:
    await connection.execute(_SQL.snapshot)
    await connection.execute(_SQL.begin)


async def _examined(connection: Connection, *, whole: bool) -> Audit:
    await connection.execute(_SQL.touch_all if whole else _SQL.touch, timeout=LIMIT_S)
    await connection.execute(_SQL.collect_all if whole else _SQL.collect, timeout=LIMIT_S)
    await connection.execute(_SQL.study, timeout=LIMIT_S)
    rows = await connection.fetch(_SQL.drift, timeout=LIMIT_S)
    if whole:
        rows += await connection.fetch(_SQL.unposted, timeout=LIMIT_S)
    findings = [Finding(*row) for row in rows] + await _usage(connection, whole=whole)
    if not findings:
        await connection.execute(_SQL.mark, timeout=LIMIT_S)
    noted = await connection.fetchrow(_SQL.note, whole, len(findings), timeout=LIMIT_S)
    assert noted is not None  # noqa: S101 - the row that was just written
    return Audit(findings, *noted)


async def _usage(connection: Connection, *, whole: bool) -> list[Finding]:
    """Rows of usage whose charge is not what the call's hold was charged with."""
    odd = await connection.fetch(_SQL.usage, whole, timeout=LIMIT_S)
    return [
        Finding("usage", str(row["completion_id"]), f"usage says {row['charge_nanos']}, hold {charged}")
        for row in odd
        if (charged := await _charged(connection, row)) != row["charge_nanos"]
    ]


async def _charged(connection: Connection, row: asyncpg.Record) -> int:
    """What the hold was charged with, or the one that it was moved to."""
    hold_id: UUID = row["completion_id"]
    charged, state = row["charged"], row["state"]
    while state == "released":
        hold_id = moved(hold_id)
        later = await connection.fetchrow(_SQL.hold_charge, hold_id)
        charged, state = (later["charged"], later["state"]) if later else (charged, "")
    return charged or 0
