"""Work that a provider does in its own time: submit once, remember what it is called there, poll, fetch.

intend ──> submit ──> keep ──> poll ... ──> fetch
   │ a crash before `keep`: it may have been submitted, so the job fails rather than pay twice
   └ a crash behind `keep`: whoever does the job next goes on polling
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from trunkline.v1 import jobs_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.gateway.jobs.kind import Bench
from trunkline_server.store.operations import Operations

POLL_S: Final = 2.0
POLL_S_MAX: Final = 15.0
NOT_SUBMITTED: Final = frozenset((FailureKind.NEVER_SENT, FailureKind.THROTTLED, FailureKind.INVALID, FailureKind.AUTH))
"""After these the provider has certainly nothing of ours."""


@dataclass(frozen=True, slots=True)
class Pending:
    """It goes on. `fraction` is how far it is, as far as the provider says."""

    fraction: float = 0.0
    message: str = ""


class Remote(Protocol):
    """What a provider does in its own time. `operation` is JSON, whatever the provider needs to find it again."""

    async def submit(self) -> str:
        """Begin it; what it is called."""

    async def poll(self, operation: str) -> Pending | None:
        """How far it is, or None when it is done. Asking changes nothing. Raises where it has failed."""

    async def fetch(self, operation: str) -> jobs_pb2.JobResult:
        """What came of it."""


@dataclass(frozen=True)
class LongWork:
    """Does it for a job; `pause` waits between two polls."""

    operations: Operations
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def do(self, remote: Remote, bench: Bench) -> jobs_pb2.JobResult:
        """Raises what the provider's failure is told as, or PROVIDERS_EXHAUSTED where a submission got no answer."""
        operation = await self._operation(bench.job_id, bench.lease_token, remote)
        wait_s = POLL_S
        while (pending := await remote.poll(operation)) is not None:
            await bench.progress(pending.fraction, pending.message)
            await self.pause(wait_s)
            wait_s = min(wait_s * 1.5, POLL_S_MAX)
        return await remote.fetch(operation)

    async def _operation(self, job_id: UUID, lease_token: int, remote: Remote) -> str:
        found = await self.operations.find(job_id)
        if found is not None and found.operation is not None:
            return found.operation
        if found is not None or not await self.operations.intend(job_id, lease_token):
            raise _unknown()
        return await self._submitted(job_id, lease_token, remote)

    async def _submitted(self, job_id: UUID, lease_token: int, remote: Remote) -> str:
        try:
            operation = await remote.submit()
        except UpstreamFailure as failure:
            if failure.kind in NOT_SUBMITTED:
                await self.operations.forget(job_id, lease_token)
            raise
        if not await self.operations.keep(job_id, lease_token, operation):
            raise _unknown()
        return operation


def _unknown() -> TrunklineError:
    """Neither submitted again nor waited for: nobody knows what it is called."""
    return TrunklineError(Reason.PROVIDERS_EXHAUSTED, "the provider may have begun this; it is not begun a second time")
