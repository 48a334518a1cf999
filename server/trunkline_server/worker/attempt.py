"""One attempt at a job, from its claim to the statement that ends it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final
from uuid import UUID

from trunkline.v1 import chat_pb2, jobs_pb2
from trunkline_server.core import ids
from trunkline_server.core.errors import Describe, Reason, TrunklineError
from trunkline_server.core.trace import Tracer
from trunkline_server.gateway.jobs.kind import Done, JobWork, NotYet, call_of
from trunkline_server.store.conversation_messages import Saying
from trunkline_server.store.job import JobChange, JobRow
from trunkline_server.store.jobs import Jobs
from trunkline_server.store.lane import Op
from trunkline_server.store.leased_ledger import Tab, paying
from trunkline_server.worker.spans import traced
from trunkline_server.worker.verdict import Later, judge

_log = logging.getLogger(__name__)

PROGRESS_EVERY_S: Final = 0.5
HOLD_BEYOND_S: Final = 3600
"""A reservation outlives its job by so much, so that a job never finds it gone."""
WRITE_PAUSE_S: Final = 0.1


class Stop(Enum):
    """Why an attempt is ended from outside."""

    CANCELLED = "cancelled"
    LOST = "lost"
    DRAINING = "draining"


@dataclass(frozen=True)
class Shop:
    """What every attempt needs."""

    jobs: Jobs
    works: Mapping[str, JobWork]
    describe: Describe
    tracer: Tracer | None = None


class Attempt:
    """A claimed job and the task that does it. `leased_until` is on the event loop's clock."""

    def __init__(self, shop: Shop, job: JobRow, leased_until: float) -> None:
        self.job = job
        self.leased_until = leased_until
        self.task: asyncio.Task[None] | None = None
        self._shop = shop
        self._saying: Saying | None = None
        self._stop: Stop | None = None
        self._is_ending = False
        self._loop = asyncio.get_running_loop()
        self._told_at = 0.0
        self._waits = 0
        self._waiting = asyncio.Lock()
        self._tab = Tab(job.id, job.lease_token, job.hold_id, job.hold_account, _ttl_s(job), shop.jobs.apply)

    # The bench of the work.

    @property
    def job_id(self) -> UUID:
        return self.job.id

    @property
    def lease_token(self) -> int:
        return self.job.lease_token

    @property
    def is_unwanted(self) -> bool:
        return self._stop is Stop.CANCELLED

    @property
    def streams(self) -> bool:
        return self.job.stream

    @asynccontextmanager
    async def idle(self) -> AsyncIterator[None]:
        await self._wait(1)
        try:
            yield
        finally:
            await self._wait(-1)

    @property
    def is_idle(self) -> bool:
        """It waits for another job."""
        return self._waits > 0

    async def _wait(self, more: int) -> None:
        """One wait more, or one less. The first and the last are told, before anything else is ordered."""
        async with self._waiting:
            was_idle, self._waits = self.is_idle, self._waits + more
            if self.is_idle != was_idle:
                with suppress(TrunklineError):  # it only takes a place too many, or too few
                    await self._shop.jobs.idle(self.job.id, self.job.lease_token, is_idle=self.is_idle)

    async def progress(self, fraction: float, message: str) -> None:
        if self._loop.time() - self._told_at < PROGRESS_EVERY_S:
            return
        self._told_at = self._loop.time()
        change = JobChange(
            id=self.job.id, lease_token=self.job.lease_token, target="progress", fraction=fraction, message=message
        )
        if not (await self._shop.jobs.apply(change)).fenced:
            self.stop(Stop.LOST)

    async def keep(self, events: Sequence[chat_pb2.ChatEvent]) -> None:
        kept = [event.SerializeToString() for event in events]
        await self._shop.jobs.keep_events(self.job.id, self.job.lease_token, kept)

    def stop(self, why: Stop) -> None:
        """Ends it, unless its end is being written already."""
        if self._stop is None and not self._is_ending and self.task is not None:
            self._stop = why
            self.task.cancel()

    async def run(self) -> None:
        """Do the work, and write what came of it."""
        change = await self._done()
        self._is_ending = True
        if change is not None:
            await self._write(change)

    async def _done(self) -> JobChange | None:
        """None: the job is another worker's now, and nothing of this attempt may be written."""
        try:
            done = await self._worked()
        except asyncio.CancelledError:
            return self._stopped()
        except NotYet as later:
            return self._tab.change("delayed", delay_reason="scheduled", delay_s=later.delay_s, burns=False)
        except TrunklineError as error:
            return self._failed(error)
        except TimeoutError:
            return self._failed(TrunklineError(Reason.DEADLINE, "the attempt took too long"))
        except Exception as error:  # noqa: BLE001 - a fault of ours is an error of this job, not of the worker
            _log.error("job.fault job=%s type=%s", self.job.id.hex, type(error).__name__)
            return self._failed(TrunklineError(Reason.INTERNAL, "internal error"))
        self._saying = done.saying
        result = done.result.SerializeToString()
        return self._tab.change("succeeded", result=result, fallback_model=done.fallback_model)

    async def _worked(self) -> Done:
        work = self._shop.works.get(self.job.kind)
        if work is None:
            raise TrunklineError(Reason.CAPABILITY_UNSUPPORTED, "this gateway does no such work")
        spec = jobs_pb2.JobSpec.FromString(self.job.spec)
        call = call_of(self.job)
        with traced(self._shop.tracer, call), paying(self._tab):
            async with asyncio.timeout(self.job.timeout_s):
                return await work.run(call, spec, self)

    def _stopped(self) -> JobChange | None:
        match self._stop:
            case Stop.CANCELLED:
                return self._tab.change("cancelled", error_reason=Reason.CANCELLED.value)
            case Stop.DRAINING:
                return self._later(Later("retry", 0.0, burns=False), Reason.DRAINING)
            case _:
                return None

    def _failed(self, error: TrunklineError) -> JobChange | None:
        if self._tab.is_lost or self._stop is not None:
            return self._stopped()
        told = self._shop.describe(error, ids.spell("job", self.job.id)).SerializeToString()
        later = judge(error, self.job.attempt, self.job.max_attempts)
        if later is None:
            return self._tab.change("failed", error_reason=error.reason.value, error=told)
        return self._later(later, error.reason, told)

    def _later(self, later: Later, reason: Reason, told: bytes | None = None) -> JobChange:
        """The money stays reserved: what this attempt reserved and gave back is taken again under another name."""
        again = self._again()
        return self._tab.change(
            "delayed",
            again=again,
            error_reason=reason.value,
            error=told,
            delay_reason=later.reason,
            delay_s=later.delay_s,
            burns=later.burns,
            hold_id=again.hold_id if again else None,
        )

    def _again(self) -> Op | None:
        held = self._tab.held
        if held is None or not self._tab.is_closed:
            return None
        named = (held.provider, held.model, held.price_version)
        return Op("held", ids.new_uuid(), held.account_id, held.amount, self._tab.ttl_s, *named)

    async def _write(self, change: JobChange) -> None:
        """As long as the lease lasts; then the job is done again elsewhere."""
        while True:
            try:
                await self._end(change)
            except TrunklineError as error:
                _log.warning("job.unwritten job=%s reason=%s", self.job.id.hex, error.reason.value)
                if self._loop.time() > self.leased_until:
                    return
                await asyncio.sleep(WRITE_PAUSE_S)
            else:
                return

    async def _end(self, change: JobChange) -> None:
        if self._saying is None:
            await self._shop.jobs.apply(change)
        else:
            await self._shop.jobs.end(change, self._saying)


def _ttl_s(job: JobRow) -> int:
    return int(max((job.expires_at - datetime.now(UTC)).total_seconds(), 0)) + HOLD_BEYOND_S
