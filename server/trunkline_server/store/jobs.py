"""The table of jobs: making, claiming, changing and watching them. All decisions are taken by the database.

A job's money is in the same statement as its change: the reservation with the order, the settlement with the end. Who
has lost the lease changes nothing, neither the job nor the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, TrunklineError, not_found
from trunkline_server.store import outbox, queries
from trunkline_server.store.conversation_messages import Saying, append_within
from trunkline_server.store.database import Connection, Database
from trunkline_server.store.gather import Gather
from trunkline_server.store.job import Changed, JobChange, JobCounts, JobOrder, JobRow, Ordered
from trunkline_server.store.news import Announcer

_SQL = queries.load(__file__)

QUEUED: Final = "trunkline_jobs_queued"
"""Tells a queue that has more to do."""
CANCELLED: Final = "trunkline_jobs_cancelled"
"""Tells a job that runs and shall end."""
NOBODY: Final = UUID(int=0)
AHEAD_MAX: Final = 100
SWEEP_ROWS: Final = 500
PURGE_ROWS: Final = 1000
STATS_S: Final = 20.0
"""A million jobs are read in less."""


@dataclass(frozen=True, slots=True)
class Caps:
    """How many jobs may run at once for one tenant, one user, one model; 0: any number."""

    tenant_max: int = 0
    user_max: int = 0
    model_max: int = 0


@dataclass(frozen=True, slots=True)
class Swept:
    """What time did to jobs: the queues where there is more to do now, when the next job comes due, how many workers'
    jobs were taken from the dead."""

    queues: Sequence[str]
    next_s: float | None
    rescued: int


class Jobs:
    """Orders and changes that come together are written together."""

    def __init__(self, database: Database, announcer: Announcer) -> None:
        self._database = database
        self._announcer = announcer
        self._orders: Gather[JobOrder, Ordered] = Gather(self._enqueue_many, _named)
        self._changes: Gather[JobChange, Changed] = Gather(self._apply_many, lambda change: change.id)

    async def enqueue(self, order: JobOrder) -> Ordered:
        """Makes a job, or finds the one that its request id has made. The verdict says whether the money was held."""
        try:
            ordered = await self._orders.put(order)
        except asyncpg.UniqueViolationError:  # the same request id at the same instant
            ordered = await self._orders.put(order)
        self._announcer.tell(QUEUED, order.queue)
        self._announcer.tell(outbox.CHANNEL)
        return ordered

    async def get(self, tenant_id: UUID, job_id: UUID) -> JobRow:
        """Raises RESOURCE_NOT_FOUND, also for another tenant's."""
        row = await self._database.fetchrow(_SQL.get, tenant_id, job_id)
        if row is None:
            raise not_found("job", ids.spell("job", job_id))
        return job_of(row)

    async def callback(self, job_id: UUID) -> tuple[str, bool]:
        """Where its changes are told, and whether its progress is; empty: nowhere."""
        row = await self._database.fetchrow(_SQL.callback, job_id)
        return (row[0], row[1]) if row else ("", False)

    async def revision(self, tenant_id: UUID, job_id: UUID) -> tuple[int, bool]:
        """How often it has changed, and whether it is over."""
        row = await self._database.fetchrow(_SQL.revision, tenant_id, job_id)
        if row is None:
            raise not_found("job", ids.spell("job", job_id))
        return row[0], row[1]

    async def page(
        self, tenant_id: UUID, *, before: UUID | None, state: str, queue: str, user_id: str, limit: int
    ) -> list[JobRow]:
        """Newest first; empty texts do not narrow."""
        asked = (tenant_id, before, state or None, queue or None, user_id or None, limit)
        return [job_of(row) for row in await self._database.fetch(_SQL.list, *asked)]

    async def stats(self, tenant_id: UUID, *, user_id: str, queue: str, since: datetime | None) -> JobCounts:
        """Empty texts do not narrow."""
        async with self._database.patient(STATS_S) as connection:
            row = await connection.fetchrow(_SQL.stats, tenant_id, user_id or None, queue or None, since)
        return JobCounts(*(row or (0,) * 6))

    async def cancel(self, tenant_id: UUID, job_id: UUID) -> None:
        """Ends one that waits, and lets the worker know of one that runs. Raises RESOURCE_NOT_FOUND, JOB_FINAL."""
        was = await self._database.fetchval(_SQL.cancel, tenant_id, job_id)
        if was is None:
            raise not_found("job", ids.spell("job", job_id))
        if was not in ("queued", "delayed", "running"):
            raise TrunklineError(Reason.JOB_FINAL, f"the job has {was} already")
        if was == "running":
            self._announcer.tell(CANCELLED, job_id.hex)
        self._announcer.tell(outbox.CHANNEL)

    async def ahead(self, job_id: UUID, conversation_id: UUID) -> int:
        """How many that were made earlier have yet to say something there; beyond a hundred they are not counted."""
        return int(await self._database.fetchval(_SQL.ahead, job_id, conversation_id, AHEAD_MAX))

    # What workers do.

    async def ready_queues(self) -> list[str]:
        """Queues where something waits."""
        return [row[0] for row in await self._database.fetch(_SQL.ready_queues)]

    async def claim(self, queue: str, behind: UUID, most: int, lease_s: float, caps: Caps) -> list[JobRow]:
        """Takes up to `most` jobs, tenants in turn, beginning behind the one served last."""
        limits = (caps.tenant_max, caps.user_max, caps.model_max)
        rows = await self._database.fetch(_SQL.claim, queue, behind, most, lease_s, *limits)
        if rows:
            self._announcer.tell(outbox.CHANNEL)
        return [job_of(row) for row in rows]

    async def apply(self, change: JobChange) -> Changed:
        """Writes a change with its money, if the lease is still the worker's."""
        changed = await self._changes.put(change)
        self._announcer.tell(outbox.CHANNEL)
        return changed

    async def end(self, change: JobChange, saying: Saying) -> Changed:
        """As `apply`, and says something in a conversation: both happen, once, or neither does."""
        async with self._database.transaction() as connection:
            given = msgspec.json.encode([change]).decode()
            (changed,) = [Changed(*row) for row in await connection.fetch(_SQL.apply, given)]
            if changed.fenced:
                await append_within(connection, saying)
        self._announcer.tell(outbox.CHANNEL)
        return changed

    async def renew(self, leases: Sequence[tuple[UUID, int]], lease_s: float) -> dict[UUID, bool]:
        """The jobs that are still the worker's, and for each whether somebody wants it to end."""
        job_ids, tokens = [job_id for job_id, _ in leases], [token for _, token in leases]
        return {row[0]: row[1] for row in await self._database.fetch(_SQL.renew, job_ids, tokens, lease_s)}

    async def idle(self, job_id: UUID, lease_token: int, *, is_idle: bool) -> None:
        """Whether it waits for other jobs: then it takes no place of those that run."""
        await self._database.execute(_SQL.idle, job_id, lease_token, is_idle)

    async def sweep(self, rescues_max: int) -> Swept:
        """Wakes what is due, takes jobs from workers that are gone, ends what is too old."""
        row = await self._database.fetchrow(_SQL.sweep, rescues_max, SWEEP_ROWS)
        swept = Swept(row[0] or (), row[1], row[2]) if row else Swept((), None, 0)
        for queue in swept.queues:
            self._announcer.tell(QUEUED, queue)
        if swept.queues or swept.rescued:
            self._announcer.tell(outbox.CHANNEL)
        return swept

    async def purge(self, older_than: timedelta, limit: int = PURGE_ROWS) -> int:
        """Deletes up to `limit` jobs that ended long ago; says how many."""
        return int((await self._database.execute(_SQL.purge, older_than, limit)).removeprefix("DELETE "))

    # Answers as they come.

    async def keep_events(self, job_id: UUID, lease_token: int, events: Sequence[bytes]) -> None:
        """Keeps events of an answer, if the lease is still the worker's."""
        await self._database.execute(_SQL.keep_events, job_id, lease_token, list(events))
        self._announcer.tell(outbox.CHANNEL)

    async def events_after(self, job_id: UUID, place: int, limit: int = 500) -> list[tuple[int, int, bytes]]:
        """(place, attempt, event) of what came behind `place`."""
        return [(row[0], row[1], row[2]) for row in await self._database.fetch(_SQL.events_after, job_id, place, limit)]

    async def _enqueue_many(self, orders: Sequence[JobOrder]) -> list[Ordered]:
        """One round trip, unless more is written with a job: to whom its changes are told, and where it speaks."""
        if not any(order.callback_uri or order.conversation_id for order in orders):
            return [Ordered(*row) for row in await self._database.fetch(_SQL.enqueue, spelled(orders))]
        async with self._database.transaction() as connection:
            return await enqueue(connection, orders)

    async def _apply_many(self, changes: Sequence[JobChange]) -> list[Changed]:
        given = msgspec.json.encode(changes).decode()
        return [Changed(*row) for row in await self._database.fetch(_SQL.apply, given)]


async def enqueue(connection: Connection, orders: Sequence[JobOrder]) -> list[Ordered]:
    """Makes jobs within the caller's transaction."""
    ordered = [Ordered(*row) for row in await connection.fetch(_SQL.enqueue, spelled(orders))]
    for order in orders:
        if order.callback_uri:
            await connection.execute(_SQL.call_back, order.id, order.callback_uri, order.callback_progress)
        if order.conversation_id:
            await connection.execute(_SQL.take_place, order.id, order.conversation_id)
    return ordered


def spelled(orders: Sequence[JobOrder]) -> str:
    """Orders as the functions of the database take them."""
    return msgspec.json.encode(orders).decode()


def job_of(row: asyncpg.Record) -> JobRow:
    return JobRow(*row)


def _named(order: JobOrder) -> tuple[UUID, str]:
    """Two orders of the same name are one job, and the second has to see the first."""
    return order.tenant_id, order.request_id or order.id.hex
