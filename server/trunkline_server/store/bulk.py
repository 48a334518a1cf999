"""Items of batches that a provider does by itself: given to it all at once, ended one by one as it answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from trunkline_server.store import jobs, queries
from trunkline_server.store.database import Database
from trunkline_server.store.job import JobRow

_SQL = queries.load(__file__)

KIND: Final = "bulk"
"""Of the job that carries a batch to its provider. It is no tenant's, and nobody can ask for one."""
ROWS: Final = 100
"""Items that are in hand at once."""
PART_ROWS: Final = 500
"""Items that change by one statement."""


class Carried(msgspec.Struct, frozen=True):
    """A batch as its carrier sees it."""

    id: UUID
    tenant_id: UUID
    cancelled: bool
    key_id: str
    allowed_models: tuple[str, ...]
    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class Carriage:
    """What carriers read and write. An item that has ended is not found any more, and cannot end again."""

    database: Database

    async def find(self, carrier: UUID) -> Carried | None:
        """The batch that a job carries."""
        row = await self.database.fetchrow(_SQL.find, carrier)
        return None if row is None else Carried(*row)

    async def begin(self, batch_id: UUID, lease_token: int) -> None:
        """The provider gets what waits, unless the batch is cancelled or the lease lost."""
        while await self.database.fetchval(_SQL.begin, batch_id, lease_token, PART_ROWS):
            pass

    async def running(self, batch_id: UUID) -> AsyncGenerator[list[JobRow], None]:
        """In their order, some at a time."""
        after = -1
        while rows := await self.database.fetch(_SQL.running, batch_id, after, ROWS):
            items = [jobs.job_of(row) for row in rows]
            yield items
            after = items[-1].item_index or 0

    async def named(self, batch_id: UUID, indexes: Sequence[int]) -> dict[int, JobRow]:
        """Those of these places that still run."""
        rows = await self.database.fetch(_SQL.named, batch_id, list(indexes))
        return {item.item_index or 0: item for item in map(jobs.job_of, rows)}

    async def end_rest(self, batch_id: UUID, state: str, reason: str, error: bytes | None) -> None:
        """Whatever has not ended ends so, and costs nothing."""
        while await self.database.fetchval(_SQL.end, batch_id, state, reason, error, PART_ROWS):
            pass
