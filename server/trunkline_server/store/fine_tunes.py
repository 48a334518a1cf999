"""The tables of fine-tunes, of their checkpoints, and of what has happened to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from trunkline.v1 import fine_tuning_pb2
from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, TrunklineError, not_found
from trunkline_server.core.pricing import Price
from trunkline_server.store import jobs, outbox, queries
from trunkline_server.store.database import Database
from trunkline_server.store.job import JobOrder, Ordered
from trunkline_server.store.news import Announcer

_SQL = queries.load(__file__)

KIND = "fine_tune"
"""Of the job that carries a fine-tune. It is no tenant's, and nobody can ask for one."""
OVER = frozenset(("succeeded", "failed", "cancelled"))


class TuneRow(msgspec.Struct, frozen=True):
    """A fine-tune as it stands. `price` None: it costs nothing here."""

    id: UUID
    tenant_id: UUID
    user_id: str
    key_id: str
    provider: str
    account_id: UUID
    base_model: str
    wanted: fine_tuning_pb2.CreateFineTuneRequest
    price: Price | None
    estimated_tokens: int
    held_account: UUID
    held_nanos: int
    state: str = "queued"
    cancel_requested: bool = False
    provider_model: str = ""
    trained_tokens: int = 0
    basis: str = "none"
    cost_nano_usd: int = 0
    charge_nanos: int = 0
    error_code: str = ""
    error: bytes | None = None
    create_time: datetime | None = None
    end_time: datetime | None = None

    @property
    def name(self) -> str:
        return ids.spell("ft", self.id)

    @property
    def is_over(self) -> bool:
        return self.state in OVER


class TuneEnd(msgspec.Struct, frozen=True):
    """How a fine-tune has ended, and what it cost."""

    state: str
    provider_model: str = ""
    trained_tokens: int = 0
    basis: str = "none"
    cost_nano_usd: int = 0
    charge_nanos: int = 0
    error_code: str = ""


class Happened(NamedTuple):
    """An event, and what its provider calls it."""

    named: str
    event: fine_tuning_pb2.FineTuneEvent


class FineTunes:
    """A fine-tune is found within its tenant. What has ended stays as it ended."""

    def __init__(self, database: Database, announcer: Announcer) -> None:
        self._database = database
        self._announcer = announcer

    async def create(self, row: TuneRow, order: JobOrder) -> Ordered:
        """With the job that carries it, or neither. The verdict says whether the money was held."""
        try:
            ordered = await self._create(row, order)
        except asyncpg.UniqueViolationError:  # the same request id at the same instant
            ordered = await self._create(row, order)
        self._announcer.tell(jobs.QUEUED, order.queue)
        self._announcer.tell(outbox.CHANNEL)
        return ordered

    async def find(self, tenant_id: UUID, name: str) -> TuneRow:
        """Raises RESOURCE_NOT_FOUND, also for another tenant's."""
        row = await self._database.fetchrow(_SQL.find, tenant_id, ids.parse("ft", name))
        if row is None:
            raise not_found("fine-tune", name)
        return _row(row)

    async def page(self, tenant_id: UUID, before: UUID | None, limit: int) -> list[TuneRow]:
        """Newest first."""
        return [_row(row) for row in await self._database.fetch(_SQL.page, tenant_id, before, limit)]

    async def cancel(self, tenant_id: UUID, name: str) -> TuneRow:
        """Its carrier hears of it. Raises RESOURCE_NOT_FOUND, JOB_FINAL."""
        row = await self.find(tenant_id, name)
        if row.is_over:
            raise TrunklineError(Reason.JOB_FINAL, f"the fine-tune has {row.state} already")
        await self._database.execute(_SQL.cancel, tenant_id, row.id)
        return await self.find(tenant_id, name)

    async def checkpoints(self, fine_tune_id: UUID) -> list[fine_tuning_pb2.FineTuneCheckpoint]:
        """By step."""
        rows = await self._database.fetch(_SQL.checkpoints, fine_tune_id)
        return [fine_tuning_pb2.FineTuneCheckpoint.FromString(row[0]) for row in rows]

    async def events(
        self, fine_tune_id: UUID, after: int, limit: int
    ) -> list[tuple[int, fine_tuning_pb2.FineTuneEvent]]:
        """Oldest first, each with its place."""
        rows = await self._database.fetch(_SQL.events, fine_tune_id, after, limit)
        return [(row[0], fine_tuning_pb2.FineTuneEvent.FromString(row[1])) for row in rows]

    # What carriers read and write.

    async def carried(self, job_id: UUID) -> TuneRow | None:
        """What a job carries."""
        row = await self._database.fetchrow(_SQL.carried, job_id)
        return None if row is None else _row(row)

    async def note(self, fine_tune_id: UUID, lease_token: int, state: str) -> None:
        """How far it is."""
        if await self._database.execute(_SQL.note, fine_tune_id, lease_token, state) == "UPDATE 1":
            self._announcer.tell(outbox.CHANNEL)

    async def end(self, fine_tune_id: UUID, lease_token: int, end: TuneEnd) -> None:
        """It is over."""
        await self._database.execute(_SQL.end, fine_tune_id, lease_token, *msgspec.structs.astuple(end))

    async def keep_checkpoints(self, fine_tune_id: UUID, told: Sequence[fine_tuning_pb2.FineTuneCheckpoint]) -> None:
        """Those that are known stay as they are."""
        steps, models = [each.step for each in told], [each.provider_model for each in told]
        kept = [each.SerializeToString() for each in told]
        await self._database.execute(_SQL.keep_checkpoints, fine_tune_id, steps, models, kept)

    async def keep_events(self, fine_tune_id: UUID, told: Sequence[Happened]) -> None:
        """In their order; those that are known stay where they are."""
        named, kept = [each.named for each in told], [each.event.SerializeToString() for each in told]
        await self._database.execute(_SQL.keep_events, fine_tune_id, named, kept)

    async def end_lost(self) -> list[tuple[UUID, UUID]]:
        """Those whose carrier has failed have failed; their tenants and ids."""
        return [(row[0], row[1]) for row in await self._database.fetch(_SQL.end_lost)]

    async def _create(self, row: TuneRow, order: JobOrder) -> Ordered:
        async with self._database.transaction() as connection:
            [ordered] = await jobs.enqueue(connection, [order])
            if ordered.verdict == "held":
                await connection.execute(_SQL.create, *_columns(row))
        return ordered


def _columns(row: TuneRow) -> tuple[object, ...]:
    return (
        row.id,
        row.tenant_id,
        row.user_id,
        row.key_id,
        row.provider,
        row.account_id,
        row.base_model,
        row.wanted.SerializeToString(),
        msgspec.json.encode(row.price).decode() if row.price else None,
        row.estimated_tokens,
        row.held_account,
        row.held_nanos,
    )


def _row(row: asyncpg.Record) -> TuneRow:
    fields = dict(row)
    fields["id"] = fields.pop("fine_tune_id")
    fields["wanted"] = fine_tuning_pb2.CreateFineTuneRequest.FromString(fields["wanted"])
    if fields["price"] is not None:
        fields["price"] = msgspec.json.decode(fields["price"], type=Price)
    return TuneRow(**fields)
