"""Batches: made as a whole or not at all. How far one is, is counted from its items, so the counts always add up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, TrunklineError, not_found
from trunkline_server.store import jobs, outbox, queries
from trunkline_server.store.database import Connection, Database
from trunkline_server.store.job import JobOrder, JobRow, Ordered
from trunkline_server.store.news import Announcer

_SQL = queries.load(__file__)

CHUNK: Final = 200
"""Items that are made by one statement."""


@dataclass(frozen=True, slots=True)
class NewBatch:
    """What a batch shall be, beside its items."""

    id: UUID
    tenant_id: UUID
    user_id: str
    name: str
    stop_on_error: bool
    concurrency_max: int
    labels: Mapping[str, str]
    request_id: str | None
    fingerprint: bytes


class BatchRow(msgspec.Struct, frozen=True):
    """A batch and the counts of its items."""

    id: UUID
    user_id: str
    name: str
    stop_on_error: bool
    concurrency_max: int
    item_count: int
    cancelled: bool
    stopped: bool
    labels: str
    created_at: datetime
    ended_at: datetime | None
    charge_nanos: int
    queued_count: int
    delayed_count: int
    running_count: int
    succeeded_count: int
    failed_count: int
    cancelled_count: int

    @property
    def over_count(self) -> int:
        return self.succeeded_count + self.failed_count + self.cancelled_count

    @property
    def is_over(self) -> bool:
        return self.over_count >= self.item_count


class Batches:
    """Makes, finds and stops them."""

    def __init__(self, database: Database, announcer: Announcer) -> None:
        self._database = database
        self._announcer = announcer

    async def find_repeated(self, tenant_id: UUID, request_id: str, fingerprint: bytes) -> UUID | None:
        """The batch that a request id has made. Raises IDEMPOTENCY_KEY_REUSED where it was another one."""
        row = await self._database.fetchrow(_SQL.repeated, tenant_id, request_id)
        if row is not None and row["fingerprint"] != fingerprint:
            raise TrunklineError(
                Reason.IDEMPOTENCY_KEY_REUSED, "this request_id was used for another batch; choose a new one"
            )
        return None if row is None else row["id"]

    async def create(
        self, new: NewBatch, orders: Sequence[JobOrder], check: Callable[[JobOrder, Ordered], object]
    ) -> None:
        """`check` raises where an item was not made; then none is."""
        async with self._database.transaction() as connection:
            await connection.execute(_SQL.create, *_columns(new, len(orders)))
            for start in range(0, len(orders), CHUNK):
                await _add(connection, orders[start : start + CHUNK], check)
        self._announcer.tell(jobs.QUEUED, orders[0].queue)
        self._announcer.tell(outbox.CHANNEL)

    async def get(self, tenant_id: UUID, batch_id: UUID) -> BatchRow:
        """Raises RESOURCE_NOT_FOUND, also for another tenant's."""
        rows = await self._database.fetch(_SQL.get, tenant_id, batch_id, None, 1)
        if not rows:
            raise not_found("batch", ids.spell("batch", batch_id))
        return BatchRow(*rows[0])

    async def page(self, tenant_id: UUID, before: UUID | None, limit: int) -> list[BatchRow]:
        """Newest first."""
        return [BatchRow(*row) for row in await self._database.fetch(_SQL.get, tenant_id, None, before, limit)]

    async def items(self, batch_id: UUID, after: int, limit: int) -> list[JobRow]:
        """In their order, behind the item at `after`."""
        return [jobs.job_of(row) for row in await self._database.fetch(_SQL.items, batch_id, after, limit)]

    async def cancel(self, tenant_id: UUID, batch_id: UUID) -> None:
        """Those that wait are ended by the next sweep, and not begun until then."""
        async with self._database.transaction() as connection:
            await connection.execute(_SQL.cancel, tenant_id, batch_id)
            running = await connection.fetch(_SQL.stop_running, batch_id)
        for row in running:
            self._announcer.tell(jobs.CANCELLED, row["id"].hex)
        self._announcer.tell(outbox.CHANNEL)

    async def purge(self, older_than: timedelta) -> int:
        """Deletes those whose items are gone; says how many."""
        return int((await self._database.execute(_SQL.purge, older_than)).removeprefix("DELETE "))


async def _add(
    connection: Connection, orders: Sequence[JobOrder], check: Callable[[JobOrder, Ordered], object]
) -> None:
    for order, ordered in zip(orders, await jobs.enqueue(connection, orders), strict=True):
        check(order, ordered)


def _columns(new: NewBatch, item_count: int) -> tuple[object, ...]:
    labels = msgspec.json.encode(dict(new.labels)).decode()
    what = (new.name, "gateway", new.stop_on_error, new.concurrency_max, item_count)
    return (new.id, new.tenant_id, new.user_id, *what, new.request_id, new.fingerprint, labels)
