"""The journal of a job: what costs money is begun at a provider once, whatever happens to the worker.

intend ──> submit ──> keep ──> poll ... ──> its result
   │ a crash before `keep`: it may have been begun, so the job fails rather than pay twice
   └ a crash behind `keep`: whoever does the job next goes on polling
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

from trunkline_server.core.errand import Input
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.gateway.attempts import MAY_HAVE_WORKED
from trunkline_server.gateway.begun import place_of
from trunkline_server.gateway.jobs.kind import Bench
from trunkline_server.gateway.journal import Remote, abandon
from trunkline_server.store.operations import Operations
from trunkline_server.wire.craft import Pending

T = TypeVar("T")

POLL_S_MAX: Final = 15.0
MAY_HAVE_BEGUN: Final = MAY_HAVE_WORKED | {FailureKind.TIMEOUT_IDLE, FailureKind.INTERRUPTED}
"""After any other failure the provider has certainly nothing of ours."""


@dataclass(slots=True)
class LongWork:
    """Of one attempt. `is_open`: something may have been begun whose end will not be seen, so nothing is begun again.
    `pause` waits between two polls."""

    operations: Operations
    bench: Bench
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    is_open: bool = False
    operation: str = ""

    @property
    def goes_on(self) -> bool:
        return bool(self.operation) and not self.bench.is_unwanted

    async def told(self, fraction: float, message: str) -> None:
        await self.bench.progress(fraction, message)

    async def once(self, make: Callable[[], Awaitable[T]]) -> T:
        """Raises PROVIDERS_EXHAUSTED where an earlier attempt may have had it made."""
        had_begun = self.is_open
        if not had_begun:
            await self._intend()
        try:
            return await make()
        except UpstreamFailure as failure:
            if failure.kind not in MAY_HAVE_BEGUN and not had_begun:
                await self._forget()
            raise

    async def do(self, remote: Remote[T]) -> T:
        """Raises what the provider's failure is told as, or PROVIDERS_EXHAUSTED where a submission got no answer."""
        found = await self.operations.find(self.bench.job_id)
        if found is not None and found.operation is None:
            raise unknown()
        self.operation = found.operation if found and found.operation else await self._submitted(remote)
        try:
            return await self._polled(remote)
        except UpstreamFailure as failure:
            if failure.is_final:
                self.operation = ""
                await self._forget()
            raise
        except asyncio.CancelledError:
            if self.bench.is_unwanted:
                abandon(remote, self.operation)
            raise

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Around one attempt: an error is final where something may have been begun whose end will not be seen."""
        try:
            yield
        except TrunklineError as error:
            if self.is_open:
                raise unknown() from error
            raise

    async def _polled(self, remote: Remote[T]) -> T:
        wait_s = remote.poll_s
        while isinstance(state := await remote.poll(self.operation), Pending):
            await self.told(state.percent / 100, "the provider is at it")
            await self.pause(wait_s)
            wait_s = max(remote.poll_s, min(wait_s * 1.5, POLL_S_MAX))
        return state

    async def _submitted(self, remote: Remote[T]) -> str:
        operation = await self.once(remote.submit)
        if not await self.operations.keep(self.bench.job_id, self.bench.lease_token, operation):
            raise unknown()
        self.is_open = False
        return operation

    async def _intend(self) -> None:
        if not await self.operations.intend(self.bench.job_id, self.bench.lease_token):
            raise unknown()
        self.is_open = True

    async def _forget(self) -> None:
        await self.operations.forget(self.bench.job_id, self.bench.lease_token)
        self.is_open = False


async def stay(input: Input, operations: Operations, job_id: UUID) -> None:
    """Work that an earlier attempt has begun goes on where it is."""
    found = await operations.find(job_id)
    if found is not None and found.operation is not None:
        place = place_of(found.operation)
        input.model = f"{place.provider}/{place.model}"
        input.ClearField("routing")


def unknown() -> TrunklineError:
    """Neither begun again nor waited for: nobody knows what it is called."""
    return TrunklineError(Reason.PROVIDERS_EXHAUSTED, "the provider may have begun this; it is not begun a second time")
