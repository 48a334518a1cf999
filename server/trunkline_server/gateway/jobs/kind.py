"""What a job can be: one `JobKind` for each kind of spec.

A new kind is one class beside these and a line where the house is put together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from trunkline.v1 import chat_pb2, jobs_pb2
from trunkline_server.core import ids
from trunkline_server.core.call import Call, Caller
from trunkline_server.store.accounts import AccountRef
from trunkline_server.store.conversation_messages import Saying
from trunkline_server.store.job import JobRow


@dataclass(frozen=True, slots=True)
class JobOffer:
    """Where the work goes first, who pays for it, and the most that it can cost."""

    account: AccountRef
    most_nanos: int
    provider: str
    model: str
    price_version: str


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it. `fallback_model` did it in place of the one that was asked for; `saying` goes with the end."""

    result: jobs_pb2.JobResult
    fallback_model: str = ""
    saying: Saying | None = None


@dataclass(eq=False)
class NotYet(Exception):
    """Raised by work that goes on without us: no worker waits for it, and one looks again after `delay_s`."""

    delay_s: float


class Bench(Protocol):
    """What the worker gives to work that runs."""

    @property
    def job_id(self) -> UUID:
        """The job."""

    @property
    def lease_token(self) -> int:
        """What proves, at a write, that the job is still this worker's."""

    @property
    def is_unwanted(self) -> bool:
        """Somebody has cancelled the job: what it began is to be stopped, not left to the next worker."""

    @property
    def streams(self) -> bool:
        """Whether events of the answer are wanted."""

    def idle(self) -> AbstractAsyncContextManager[None]:
        """Around ordering another job and waiting for it: meanwhile there is a place for that one."""

    async def progress(self, fraction: float, message: str) -> None:
        """Tell how far it is. Told often, it is written twice a second."""

    async def keep(self, events: Sequence[chat_pb2.ChatEvent]) -> None:
        """Keep events of the answer, for those who watch."""


class JobWork(Protocol):
    """What a worker does. What it reserves and settles at the ledger while it runs goes on the job's own bill."""

    async def run(self, call: Call, spec: jobs_pb2.JobSpec, bench: Bench) -> Done:
        """Do it. Cancelled, it ends at once and leaves nothing running."""


class JobKind(JobWork, Protocol):
    """One kind that can be asked for."""

    async def offer(self, call: Call, spec: jobs_pb2.JobSpec) -> JobOffer:
        """Check the spec, before the job is made. Raises what the call itself would."""


def call_of(job: JobRow) -> Call:
    """The call as its maker would have made it."""
    return Call(
        method=f"job/{job.kind}",
        caller=Caller(job.tenant_id, job.key_id, frozenset(), job.allowed_models),
        request_id=ids.spell("job", job.id),
        deadline=asyncio.get_running_loop().time() + job.timeout_s,
        user_id=job.user_id,
        account_id=job.account,
    )
