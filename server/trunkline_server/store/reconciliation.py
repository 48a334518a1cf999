"""Checks the books against themselves: every balance, hold and charge must equal the transfers behind it."""

from __future__ import annotations

import msgspec

from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)


class Finding(msgspec.Struct, frozen=True):
    """Something that does not add up: which rule, for which account or hold, and by which numbers."""

    rule: str
    subject: str
    detail: str


async def audit(database: Database, limit_s: float = 60.0) -> list[Finding]:
    """Reads everything in one snapshot, so it is right under load too. An empty list is the good answer."""
    async with database.transaction() as connection:
        await connection.execute(_SQL.take_time)
        return [Finding(*row) for row in await connection.fetch(_SQL.drift, timeout=limit_s)]
