"""Orders of work: what a caller wants done becomes a job with its money, or is refused as the call itself would be."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import msgspec

from trunkline.v1 import jobs_pb2
from trunkline_server.core import ids
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.gateway.jobs.kind import JobKind
from trunkline_server.store.bulk import KIND
from trunkline_server.store.job import JobOrder, Ordered
from trunkline_server.store.jobs import NOBODY
from trunkline_server.store.lane import Op
from trunkline_server.store.ledger import reserved

QUEUE: Final = "default"
BULK_LIFE_S: Final = 36 * 3600
"""Providers take a day at most for a batch."""
CARRIER_ATTEMPTS: Final = 20
CARRIER_S: Final = 3600
_HAS_JOB: Final = frozenset(("held", "repeated"))


@dataclass(frozen=True, slots=True)
class OrderSettings:
    """What counts where an order does not say."""

    max_attempts: int = 5
    timeout_s: int = 600
    life_s: int = 24 * 3600


@dataclass(frozen=True, slots=True)
class Wish:
    """How a job shall be done; what is 0 or empty is as the gateway is set."""

    queue: str = ""
    priority: int = 0
    wait_s: float = 0.0
    life_s: float = 0.0
    timeout_s: int = 0
    max_attempts: int = 0
    stream: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    batch_id: UUID | None = None
    item_index: int | None = None
    retry_of: UUID | None = None
    in_bulk: bool = False
    """The provider does it in a batch of its own."""
    callback_uri: str = ""
    callback_progress: bool = False


@dataclass(frozen=True)
class Orders:
    """`works` by the name of their field in `JobSpec`; `bulk` does what a provider takes many of at once."""

    works: Mapping[str, JobKind]
    settings: OrderSettings
    bulk: JobKind | None = None

    async def make(self, call: Call, spec: jobs_pb2.JobSpec, wish: Wish, request_id: str = "") -> JobOrder:
        """Raises what the work finds wrong with its spec."""
        kind = spec.WhichOneof("work") or ""
        work = self.bulk if wish.in_bulk else self.works.get(kind)
        if work is None:
            raise TrunklineError(Reason.CAPABILITY_UNSUPPORTED, f"{kind!r} cannot be done as a job")
        offer = await work.offer(call, spec)
        given = spec.SerializeToString(deterministic=True)
        return JobOrder(
            id=ids.new_uuid(),
            tenant_id=call.caller.tenant_id,
            user_id=call.user_id,
            account=call.account_id,
            key_id=call.caller.principal,
            allowed_models=call.caller.allowed_models,
            queue=wish.queue or QUEUE,
            kind=kind,
            provider=offer.provider,
            model=offer.model,
            lane=str(wish.batch_id or ""),
            priority=wish.priority,
            spec=given,
            stream=wish.stream,
            wait_s=wish.wait_s,
            life_s=BULK_LIFE_S if wish.in_bulk else wish.wait_s + (wish.life_s or self.settings.life_s),
            max_attempts=wish.max_attempts or self.settings.max_attempts,
            timeout_s=wish.timeout_s or self.settings.timeout_s,
            hold_account=offer.account.id,
            hold_nanos=offer.most_nanos,
            price_version=offer.price_version,
            batch_id=wish.batch_id,
            item_index=wish.item_index,
            retry_of=wish.retry_of,
            request_id=request_id or None,
            fingerprint=_fingerprint(call, given),
            labels=dict(wish.labels),
            callback_uri=wish.callback_uri,
            callback_progress=wish.callback_progress,
            conversation_id=ids.parse("conv", spec.chat.conversation_id),
        )

    def carrier(self, first: JobOrder) -> JobOrder:
        """The job that carries the batch of `first` to its provider. It is nobody's, and costs nothing."""
        return msgspec.structs.replace(
            first,
            id=ids.new_uuid(),
            tenant_id=NOBODY,
            kind=KIND,
            lane="",
            spec=b"",
            hold_nanos=0,
            max_attempts=CARRIER_ATTEMPTS,
            timeout_s=CARRIER_S,
            batch_id=None,
            item_index=None,
            labels={},
            conversation_id=None,
        )


def made(order: JobOrder, ordered: Ordered) -> UUID:
    """The job that was made, or that the request id had made. Raises why there is none."""
    if ordered.verdict == "reused":
        raise TrunklineError(
            Reason.IDEMPOTENCY_KEY_REUSED, "this request_id was used for another job; choose a new one"
        )
    if ordered.verdict not in _HAS_JOB:
        op = Op("held", order.id, order.hold_account, order.hold_nanos, 0)
        reserved(op, ordered.verdict, order.id, order.hold_nanos, ordered.available)
    return ordered.job_id


def _fingerprint(call: Call, spec: bytes) -> bytes:
    """What makes two orders the same."""
    return hashlib.sha256(f"{call.user_id}\0{call.account_id}\0".encode() + spec).digest()
