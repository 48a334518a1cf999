"""Calls of the past as they were charged, and the difference when their price turns out to have been another."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from trunkline_server.core.pricing import Bill
from trunkline_server.store import queries
from trunkline_server.store.database import Database
from trunkline_server.store.holds import Hold

_SQL = queries.load(__file__)

PAGE_ROWS: Final = 500
FIRST_S: Final = 60.0
"""All rows of the time are looked through, once."""
SLICE: Final = timedelta(hours=1)
"""No index has all tenants' calls in order: those of an hour are found together, and put in order for each page."""
_FIRST: Final = UUID(int=0)


class Charged(msgspec.Struct, frozen=True):
    """A call; price, cost and charge are those of the last repricing, where there was one."""

    completion_id: UUID
    tenant_id: UUID
    provider: str
    model: str
    create_time: datetime
    duration_ms: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_input_tokens: int
    output_tokens: int
    reasoning_output_tokens: int
    unit_counts: str
    price_version: str
    cost_nano_usd: int
    charge_nanos: int

    @property
    def begin_time(self) -> datetime:
        """When it came in: the price of that moment counts."""
        return self.create_time - timedelta(milliseconds=self.duration_ms)


async def charged(database: Database, start: datetime, end: datetime) -> AsyncGenerator[Charged, None]:
    """The calls that ended in a time, oldest first."""
    async with database.patient(FIRST_S) as connection:
        start = await connection.fetchval(_SQL.first, start, end) or end
    while start < end:
        span, after = (start, min(start + SLICE, end)), (start, _FIRST)
        while rows := await database.fetch(_SQL.calls, *span, *after, PAGE_ROWS):
            for row in rows:
                yield Charged(*row)
            after = (rows[-1]["create_time"], rows[-1]["completion_id"])
        start += SLICE


async def reprice(database: Database, call: Charged, hold: Hold, now: Bill) -> int | None:
    """Brings a call to another bill, once for its price; how much its account gained, or None where that was done."""
    dearer = (now.cost_nano_usd - call.cost_nano_usd, now.charge_nanos - call.charge_nanos)
    asked = (call.tenant_id, hold.account_id, hold.hold_id, call.completion_id, now.price_version, *dearer)
    gain: int | None = await database.fetchval(_SQL.reprice, *asked)
    return gain
