"""What a job is in the table: as it is ordered, as it stands, and as its worker changes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from trunkline_server.store.lane import Op

TERMINAL: Final = frozenset(("succeeded", "failed", "cancelled"))


class JobOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A job to be made, as `job_order` in the database has it. `hold_nanos` is the most that it can cost."""

    id: UUID
    tenant_id: UUID
    user_id: str
    account: str
    key_id: str
    allowed_models: Sequence[str]
    queue: str
    kind: str
    provider: str
    model: str
    spec: bytes
    life_s: float
    max_attempts: int
    timeout_s: int
    hold_account: UUID
    hold_nanos: int
    price_version: str
    fingerprint: bytes
    lane: str = ""
    priority: int = 0
    stream: bool = False
    wait_s: float = 0.0
    batch_id: UUID | None = None
    item_index: int | None = None
    retry_of: UUID | None = None
    request_id: str | None = None
    labels: Mapping[str, str] = {}
    callback_uri: str = ""
    callback_progress: bool = False
    conversation_id: UUID | None = None


class Ordered(msgspec.Struct, frozen=True):
    """What became of an order: `held` and `repeated` have a job; anything else says why the money was refused."""

    place: int
    verdict: str
    job_id: UUID
    available: int


class JobRow(msgspec.Struct, frozen=True):
    """A job as it stands. Lists leave `spec` and `result` out."""

    id: UUID
    tenant_id: UUID
    user_id: str
    account: str
    key_id: str
    allowed_models: tuple[str, ...]
    queue: str
    kind: str
    provider: str
    model: str
    priority: int
    spec: bytes
    stream: bool
    state: str
    delay_reason: str
    run_at: datetime
    attempt: int
    max_attempts: int
    rescues: int
    timeout_s: int
    lease_token: int
    cancel_requested: bool
    hold_id: UUID
    hold_account: UUID
    progress: float
    progress_message: str
    progress_at: datetime | None
    result: bytes | None
    error: bytes | None
    error_reason: str
    usage: bytes | None
    cost_nano_usd: int
    charge_nanos: int
    fallback_model: str
    batch_id: UUID | None
    item_index: int | None
    retry_of: UUID | None
    labels: str
    revision: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime

    @property
    def is_over(self) -> bool:
        return self.state in TERMINAL


class JobChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker says about its job, as `job_change` in the database has it; `ops` are of the ledger."""

    id: UUID
    lease_token: int
    target: str
    ops: Sequence[Op] = ()
    hold_id: UUID | None = None
    hold_account: UUID | None = None
    fraction: float | None = None
    message: str | None = None
    result: bytes | None = None
    error: bytes | None = None
    usage: bytes | None = None
    error_reason: str | None = None
    cost_nano_usd: int | None = None
    charge_nanos: int | None = None
    fallback_model: str | None = None
    delay_reason: str | None = None
    delay_s: float | None = None
    burns: bool = True


class Changed(msgspec.Struct, frozen=True):
    """`fenced`: the lease was still the worker's, and the change was made. `verdict` is that of the last ledger op."""

    place: int
    fenced: bool
    verdict: str | None
    available: int | None
    cancel_requested: bool | None


class JobCounts(msgspec.Struct, frozen=True):
    """How many jobs are in which state, and how those did that have ended."""

    queued: int
    delayed: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    run_s: float | None = None
    wait_s: float | None = None
    scheduled: int = 0

    @property
    def total(self) -> int:
        return self.queued + self.delayed + self.running + self.succeeded + self.failed + self.cancelled
