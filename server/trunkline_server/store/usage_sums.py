"""What many calls used and cost together, summed by the database from the row of each."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)

SUM_S: Final = 20.0


class Selection(NamedTuple):
    """Which calls, by the time they ended; an empty text stands for all. `by` are names of `Sum`'s first fields."""

    tenant_id: UUID
    start: datetime
    end: datetime
    user_id: str = ""
    provider: str = ""
    model: str = ""
    operation: str = ""
    by: tuple[str, ...] = ()


class Sum(NamedTuple):
    """One row. Texts that it was not summed by are empty; amounts are with what repricing has changed since."""

    day: str
    user_id: str
    provider: str
    model: str
    operation: str
    key_id: str
    calls: int
    failed: int
    reported: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_input_tokens: int
    output_tokens: int
    reasoning_output_tokens: int
    cost_nano_usd: int
    charge_nanos: int
    repriced_nanos: int


async def sums(database: Database, selection: Selection, limit: int, offset: int = 0) -> list[Sum]:
    """In the order of their texts."""
    async with database.transaction() as connection:
        await connection.execute(_SQL.patience)
        rows = await connection.fetch(_SQL.sums, *selection, limit, offset, timeout=SUM_S)
    return [Sum(*row) for row in rows]
