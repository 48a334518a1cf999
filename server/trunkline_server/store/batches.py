"""Batches: made as a whole or not at all. How far one is, is counted from its items, so the counts always add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

import asyncpg
import msgspec

from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, TrunklineError, not_found
from trunkline_server.store import jobs, outbox, queries
from trunkline_server.store.accounts import AccountRef
from trunkline_server.store.database import Database
from trunkline_server.store.holds import Reserved
from trunkline_server.store.job import JobOrder, JobRow
from trunkline_server.store.ledger import Ledger
from trunkline_server.store.news import Announcer

_SQL = queries.load(__file__)

CHUNK: Final = 200
"""Items that are made by one statement."""
HOLD_S: Final = 300
"""How long writing a batch may take."""
PAGE_S: Final = 20.0
"""All items of a page of batches are counted."""


@dataclass(frozen=True, slots=True)
class NewBatch:
    """What a batch shall be, beside its items."""

    id: UUID
    tenant_id: UUID
    user_id: str
    name: str
    mode: str
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
    mode: str
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

    def __init__(self, database: Database, announcer: Announcer, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger
        self._announcer = announcer

    async def find_repeated(self, tenant_id: UUID, request_id: str, fingerprint: bytes) -> UUID | None:
        """The batch that a request id has made. Raises IDEMPOTENCY_KEY_REUSED where it was another one."""
        row = await self._database.fetchrow(_SQL.repeated, tenant_id, request_id)
        if row is not None and row["fingerprint"] != fingerprint:
            raise TrunklineError(
                Reason.IDEMPOTENCY_KEY_REUSED, "this request_id was used for another batch; choose a new one"
            )
        return None if row is None else row["id"]

    async def create(self, new: NewBatch, orders: Sequence[JobOrder], carrier: JobOrder | None = None) -> UUID:
        """The batch, or the one that its request id has made at the same instant. Raises CREDIT_INSUFFICIENT.

        The money of all items is held first, under a name of the batch's own, and then divided without touching the
        account, so that nobody who pays from it waits for many items to be written.
        """
        held = await self._hold(new, orders)
        try:
            await self._insert(new, orders, carrier, [hold.hold_id for hold in held])
        except asyncpg.UniqueViolationError:
            await self._free(held)
            again = await self.find_repeated(new.tenant_id, new.request_id or "", new.fingerprint)
            return again or new.id
        except BaseException:
            await self._free(held)
            raise
        self._announcer.tell(jobs.QUEUED, orders[0].queue)
        self._announcer.tell(outbox.CHANNEL)
        return new.id

    async def _hold(self, new: NewBatch, orders: Sequence[JobOrder]) -> list[Reserved]:
        """On each account that pays for some of them."""
        nanos: Counter[UUID] = Counter()
        for order in orders:
            nanos[order.hold_account] += order.hold_nanos
        held: list[Reserved] = []
        try:
            for account_id, amount in nanos.items():
                held.append(await self._held(new, account_id, amount))
        except BaseException:
            await self._free(held)
            raise
        return held

    async def _held(self, new: NewBatch, account_id: UUID, amount: int) -> Reserved:
        account = AccountRef(account_id, new.tenant_id, unlimited=False, low_balance_nanos=0)
        hold_id = uuid5(new.id, account_id.hex)
        return await self._ledger.reserve(hold_id, account, amount, HOLD_S, provider="", model="", price_version="")

    async def _free(self, held: Sequence[Reserved]) -> None:
        for hold in held:
            await self._ledger.release(hold)

    async def _insert(
        self, new: NewBatch, orders: Sequence[JobOrder], carrier: JobOrder | None, held: Sequence[UUID]
    ) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(_SQL.create, *_columns(new, len(orders)), carrier.id if carrier else None)
            for start in range(0, len(orders), CHUNK):
                await connection.execute(_SQL.add, jobs.spelled(orders[start : start + CHUNK]))
            if carrier is not None:
                await connection.execute(_SQL.add, jobs.spelled([carrier]))
            if await connection.execute(_SQL.spend, held) != f"DELETE {len(held)}":
                raise TrunklineError(Reason.STORE_UNAVAILABLE, "it took too long to write the batch", retry_after_s=1.0)

    async def get(self, tenant_id: UUID, batch_id: UUID) -> BatchRow:
        """Raises RESOURCE_NOT_FOUND, also for another tenant's."""
        rows = await self._database.fetch(_SQL.get, tenant_id, batch_id, None, 1)
        if not rows:
            raise not_found("batch", ids.spell("batch", batch_id))
        return BatchRow(*rows[0])

    async def page(self, tenant_id: UUID, before: UUID | None, limit: int) -> list[BatchRow]:
        """Newest first."""
        async with self._database.patient(PAGE_S) as connection:
            return [BatchRow(*row) for row in await connection.fetch(_SQL.get, tenant_id, None, before, limit)]

    async def items(self, batch_id: UUID, after: int, limit: int) -> list[JobRow]:
        """In their order, behind the item at `after`."""
        return [jobs.job_of(row) for row in await self._database.fetch(_SQL.items, batch_id, after, limit)]

    async def cancel(self, tenant_id: UUID, batch_id: UUID) -> None:
        """Those that wait are ended by the next sweep, and not begun until then; a provider that has them is told."""
        async with self._database.transaction() as connection:
            await connection.execute(_SQL.cancel, tenant_id, batch_id)
            await connection.execute(_SQL.stop_carrier, tenant_id, batch_id)
            running = await connection.fetch(_SQL.stop_running, batch_id)
        for row in running:
            self._announcer.tell(jobs.CANCELLED, row["id"].hex)
        self._announcer.tell(outbox.CHANNEL)

    async def purge(self, older_than: timedelta) -> int:
        """Deletes those whose items are gone; says how many."""
        return int((await self._database.execute(_SQL.purge, older_than)).removeprefix("DELETE "))


def _columns(new: NewBatch, item_count: int) -> tuple[object, ...]:
    labels = msgspec.json.encode(dict(new.labels)).decode()
    what = (new.name, new.mode, new.stop_on_error, new.concurrency_max, item_count)
    return (new.id, new.tenant_id, new.user_id, *what, new.request_id, new.fingerprint, labels)
