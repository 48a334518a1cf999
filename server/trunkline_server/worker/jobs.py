"""The worker: claims jobs, does them, and says that it is alive while it does.

    claim ──> attempt ──> end        every few seconds: renew the leases; sweep what is due, dead or too old

A worker that cannot renew a lease in time ends the attempt itself; whatever it still writes is refused by the database.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from trunkline_server.store.database import Database
from trunkline_server.store.jobs import CANCELLED, NOBODY, QUEUED, Caps
from trunkline_server.store.news import heard
from trunkline_server.worker.attempt import Attempt, Shop, Stop
from trunkline_server.worker.chores import reason_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """`queues` empty: all. `margin_s` before its lease ends, a worker that cannot renew it gives the job up."""

    concurrency: int = 16
    queues: Sequence[str] = ()
    lease_s: float = 30.0
    margin_s: float = 5.0
    look_s: float = 1.0
    rescues_max: int = 3
    caps: Caps = field(default_factory=Caps)


class JobWorker:
    """One in each process that works."""

    def __init__(self, shop: Shop, settings: WorkerSettings) -> None:
        self._shop = shop
        self._jobs = shop.jobs
        self._settings = settings
        self._running: dict[UUID, Attempt] = {}
        self._behind: dict[str, UUID] = {}
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def follow(self, database: Database) -> None:
        """Hear of jobs to do, and of those that shall end."""
        await database.listen(QUEUED, self._heard_queued)
        await database.listen(CANCELLED, self._heard_cancelled)

    async def work(self) -> None:
        """Until cancelled; what runs then is left to `drain`."""
        async with asyncio.TaskGroup() as tasks:
            for loop in (self._claims, self._beats, self._sweeps):
                tasks.create_task(loop(), name=f"worker.{loop.__name__.strip('_')}")

    async def drain(self, within_s: float) -> None:
        """Lets what runs come to its end for so long; what does not goes back to its queue."""
        tasks = [attempt.task for attempt in self._running.values() if attempt.task]
        if tasks:
            await asyncio.wait(tasks, timeout=within_s)
        for attempt in list(self._running.values()):
            attempt.stop(Stop.DRAINING)
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def running_count(self) -> int:
        """Attempts that are being made."""
        return len(self._running)

    async def _claims(self) -> None:
        while True:
            self._news.clear()
            took = False
            try:
                took = await self._take()
            except Exception as error:  # noqa: BLE001 - a worker that ends leaves its queue to nobody
                _log.warning("worker.no_claim reason=%s", reason_of(error))
            if not took:
                await heard(self._news, self._settings.look_s)

    async def _take(self) -> bool:
        """Claims what there is room for; whether there was anything."""
        took = False
        for queue in self._settings.queues or await self._jobs.ready_queues():
            free = self._settings.concurrency - sum(not attempt.is_idle for attempt in self._running.values())
            if free > 0:
                took |= await self._take_from(queue, free)
        return took

    async def _take_from(self, queue: str, most: int) -> bool:
        began, lease_s = self._loop.time(), self._settings.lease_s
        behind = self._behind.get(queue, NOBODY)
        for job in (claimed := await self._jobs.claim(queue, behind, most, lease_s, self._settings.caps)):
            self._start(Attempt(self._shop, job, began + lease_s))
            self._behind[queue] = job.tenant_id
        return bool(claimed)

    def _start(self, attempt: Attempt) -> None:
        self._running[attempt.job.id] = attempt
        attempt.task = asyncio.create_task(attempt.run(), name=f"job.{attempt.job.id.hex}")
        attempt.task.add_done_callback(lambda _: self._ended(attempt))

    def _ended(self, attempt: Attempt) -> None:
        if self._running.get(attempt.job.id) is attempt:
            del self._running[attempt.job.id]
        self._news.set()

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(self._settings.lease_s / 6)
            began, attempts = self._loop.time(), list(self._running.values())
            if attempts:
                try:
                    await self._renew(attempts, began)
                except Exception as error:  # noqa: BLE001 - as above
                    _log.warning("worker.no_heartbeat reason=%s", reason_of(error))
            for attempt in attempts:
                if self._loop.time() > attempt.leased_until - self._settings.margin_s:
                    attempt.stop(Stop.LOST)

    async def _renew(self, attempts: Sequence[Attempt], began: float) -> None:
        leases = [(attempt.job.id, attempt.job.lease_token) for attempt in attempts]
        renewed = await self._jobs.renew(leases, self._settings.lease_s)
        for attempt in attempts:
            wanted_gone = renewed.get(attempt.job.id)
            if wanted_gone is None:
                attempt.stop(Stop.LOST)
                continue
            attempt.leased_until = began + self._settings.lease_s
            if wanted_gone:
                attempt.stop(Stop.CANCELLED)

    async def _sweeps(self) -> None:
        while True:
            next_s = None
            try:
                next_s = (await self._jobs.sweep(self._settings.rescues_max)).next_s
            except Exception as error:  # noqa: BLE001 - as above
                _log.warning("worker.no_sweep reason=%s", reason_of(error))
            look_s = self._settings.look_s
            await asyncio.sleep(look_s if next_s is None else min(max(next_s, 0.01), look_s))

    def _heard_queued(self, queue: str | None) -> None:
        if queue is None or not self._settings.queues or queue in self._settings.queues:
            self._news.set()

    def _heard_cancelled(self, payload: str | None) -> None:
        attempt = self._running.get(UUID(hex=payload)) if payload else None
        if attempt is not None:
            attempt.stop(Stop.CANCELLED)
