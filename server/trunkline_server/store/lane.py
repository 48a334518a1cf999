"""One queue of ledger operations and the connection that applies them, a batch at a time.

While many ask at once, a batch gathers for a millisecond; a lone operation goes at once.

A batch that got no answer is sent again, with pauses. One that was refused as a whole is sent in parts, so that a bad
operation fails alone. One that waits for a lock of somebody else goes aside, so that its neighbours go on.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from trunkline_server.core.errors import Reason, TrunklineError, store_unavailable
from trunkline_server.store import queries
from trunkline_server.store.database import Held

_SQL = queries.load(__file__)
_log = logging.getLogger(__name__)
_BLOCKED = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, asyncpg.QueryCanceledError)

PAUSE_MIN_S = 0.02
PAUSE_MAX_S = 0.25
GATHER_S = 0.001

Outcome: TypeAlias = asyncpg.Record


class Op(msgspec.Struct, frozen=True, omit_defaults=True):
    """One operation as `ledger_op` in the database has it; `target` is the state that the hold should come to."""

    target: str
    hold_id: UUID
    account_id: UUID
    amount: int
    ttl_s: int
    provider: str | None = None
    model: str | None = None
    price_version: str | None = None
    request_id: str | None = None
    usage: msgspec.Struct | None = None

    @property
    def takes(self) -> bool:
        """Whether it asks for money, so that it is pointless once its caller has left."""
        return self.target in ("held", "extended")


@dataclass(slots=True, eq=False)
class Waiting:
    """An operation and who waits for its outcome."""

    op: Op
    future: asyncio.Future[Outcome]
    answer_by: float
    keep_until: float

    def answer(self, outcome: Outcome) -> None:
        if not self.future.done():
            self.future.set_result(outcome)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # seen: a caller that has left need not fetch it

    def kept(self, now: float) -> bool:
        """After a failed try: tells the caller when its time is over, and says whether to try on."""
        if now >= self.answer_by:
            self.fail(store_unavailable())
        return now < self.keep_until


Divert: TypeAlias = "Callable[[Lane, UUID, list[Waiting]], bool]"


class Lane:
    """One held connection and the queue before it. Its task lives as long as there is work."""

    def __init__(self, held: Held, batch_max: int, divert: Divert, idle: Callable[[], None] = lambda: None) -> None:
        self.held = held
        self._batch_max = batch_max
        self._divert = divert
        self._idle = idle
        self._queue: deque[Waiting] = deque()
        self.worker: asyncio.Task[None] | None = None

    @property
    def length(self) -> int:
        """How many operations wait."""
        return len(self._queue)

    def put(self, waiting: Iterable[Waiting]) -> None:
        """Queues operations, and starts to work if idle."""
        self._queue.extend(waiting)
        if self.worker is None:
            self.worker = asyncio.create_task(self._work(), name="ledger.lane")

    def withdraw(self, account_id: UUID) -> list[Waiting]:
        """Takes the operations of one account out of the queue."""
        mine = [waiting for waiting in self._queue if waiting.op.account_id == account_id]
        self._queue = deque(waiting for waiting in self._queue if waiting.op.account_id != account_id)
        return mine

    async def _work(self) -> None:
        batch: list[Waiting] = []
        try:
            while batch := self._take():
                await self._commit(batch)
                if len(batch) > 1:  # many callers at once: a larger batch costs each of them less
                    await asyncio.sleep(GATHER_S)
        finally:
            self.worker = None
            self._idle()
            for waiting in (*batch, *self._queue):  # only where the work was cut short
                waiting.fail(store_unavailable())

    def _take(self) -> list[Waiting]:
        """The next batch, without those that nobody wants any more and that were never sent."""
        batch: list[Waiting] = []
        while self._queue and len(batch) < self._batch_max:
            waiting = self._queue.popleft()
            if not (waiting.future.cancelled() and waiting.op.takes):
                batch.append(waiting)
        return batch

    async def _commit(self, batch: list[Waiting]) -> None:
        pause_s = PAUSE_MIN_S
        while batch and not await self._tried(batch):
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, PAUSE_MAX_S)
            batch = self._kept(batch)
            self._queue = deque(self._kept(self._queue))

    async def _tried(self, batch: list[Waiting]) -> bool:
        """Whether the batch is done with; otherwise the database gave no answer, and it is to be sent again."""
        try:
            await self._apply(batch)
        except TrunklineError as error:
            return isinstance(error.__cause__, _BLOCKED) and await self._around(batch)
        except Exception as error:  # noqa: BLE001 - whatever one operation brought about must not fail its neighbours
            await self._in_parts(batch, error)
        return True

    async def _apply(self, batch: list[Waiting]) -> None:
        ops = msgspec.json.encode([waiting.op for waiting in batch]).decode()
        for outcome in await self.held.fetch(_SQL.apply, ops):
            batch[outcome[0]].answer(outcome)

    async def _around(self, batch: list[Waiting]) -> bool:
        """Somebody else has locked an account: the others go on, it goes aside. False where it has to wait here."""
        parts = _by_account(batch)
        if len(parts) == 1:
            return self._divert(self, batch[0].op.account_id, batch)
        for part in parts:
            await self._commit(part)
        return True

    async def _in_parts(self, batch: list[Waiting], error: Exception) -> None:
        """Refused as a whole: smaller parts find the operation that is to blame."""
        if len(batch) > 1:
            parts = _by_account(batch)
            for part in parts if len(parts) > 1 else [[waiting] for waiting in batch]:
                await self._commit(part)
        elif batch[0].op.usage is not None:  # a row of statistics that cannot be written never stops a charge
            _log.error("usage.unwritable", extra={"hold_id": batch[0].op.hold_id.hex}, exc_info=error)
            batch[0].op = msgspec.structs.replace(batch[0].op, usage=None)
            await self._commit(batch)
        else:
            batch[0].fail(told(error))

    def _kept(self, some: Iterable[Waiting]) -> list[Waiting]:
        now = asyncio.get_running_loop().time()
        return [waiting for waiting in some if waiting.kept(now)]


def told(error: Exception) -> Exception:
    """What a caller hears of a refusal by the database."""
    if not isinstance(error, asyncpg.NumericValueOutOfRangeError):
        return error
    overflow = TrunklineError(Reason.BALANCE_OVERFLOW, "the balance would no longer fit 64 bits")
    overflow.__cause__ = error
    return overflow


def _by_account(batch: list[Waiting]) -> list[list[Waiting]]:
    """A batch by account, each in its order."""
    account_id = attrgetter("op.account_id")
    return [list(part) for _, part in groupby(sorted(batch, key=account_id), account_id)]
