"""What tenants tell of themselves, to be counted beside their calls: a name, a value, labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from trunkline_server.store import queries
from trunkline_server.store.database import Database
from trunkline_server.store.usage_sums import SUM_S, Span

_SQL = queries.load(__file__)

NAMES_MAX: Final = 100


class EventSum(NamedTuple):
    """All events of one name."""

    name: str
    times: int
    value: float


@dataclass(frozen=True, slots=True)
class CustomEvents:
    """Kept by the month, like the sums of usage."""

    database: Database

    async def record(
        self, tenant_id: UUID, user_id: str, name: str, value: float, labels: Mapping[str, str]
    ) -> datetime:
        """When it was noted."""
        beside = msgspec.json.encode(labels).decode()
        noted: datetime = await self.database.fetchval(_SQL.record, tenant_id, user_id, name, value, beside)
        return noted

    async def sums(self, tenant_id: UUID, span: Span, user_id: str = "") -> list[EventSum]:
        """The most frequent first."""
        async with self.database.of(tenant_id).patient(SUM_S) as connection:
            rows = await connection.fetch(_SQL.sums, tenant_id, *span, user_id, NAMES_MAX)
        return [EventSum(*row) for row in rows]
