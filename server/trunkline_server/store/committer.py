"""Group commit: the ledger operations of many callers are applied by one statement, on a few held connections.

    put ──> lane (by account) ──> batch ──> ledger_apply ──> every caller its own outcome

An operation leaves at once when its lane is idle; what arrives meanwhile leaves together as the next batch: no timer.
One account has one lane, so its operations are applied in the order they came. An operation names its hold and the
state that the hold should come to, so a batch that may or may not have been applied is simply sent again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from trunkline_server.core.errors import store_unavailable
from trunkline_server.store.database import Database, Held
from trunkline_server.store.lane import Lane, Op, Outcome, Waiting


@dataclass(frozen=True, slots=True)
class CommitSettings:
    """How many connections commit, and how long an operation may take."""

    lanes: int = 1  # the fewer, the larger the batches and the less each operation costs
    detours: int = 4
    batch_max: int = 64
    waiting_max: int = 10_000
    answer_s: float = 2.0  # then the caller is told STORE_UNAVAILABLE
    persist_s: float = 60.0  # a close goes on being tried for so long, whoever waits
    drain_s: float = 5.0  # what is queued at the end has so long


class Committer:
    """The lanes. Operations of one account always share a lane."""

    def __init__(self, lanes: list[Held], spares: list[Held], settings: CommitSettings) -> None:
        self._settings = settings
        self._lanes = [Lane(held, settings.batch_max, self._divert) for held in lanes]
        self._spares = spares
        self._detours: dict[UUID, Lane] = {}
        self._loop = asyncio.get_running_loop()
        self._closed = False

    @classmethod
    async def open(cls, database: Database, settings: CommitSettings) -> Committer:
        """Connections are made when they are first needed."""
        lanes = [await database.dedicated() for _ in range(settings.lanes)]
        spares = [await database.dedicated() for _ in range(settings.detours)]
        return cls(lanes, spares, settings)

    @property
    def waiting_count(self) -> int:
        """Operations that wait in all lanes."""
        return sum(lane.length for lane in (*self._lanes, *self._detours.values()))

    def put(self, op: Op) -> asyncio.Future[Outcome]:
        """Queues an operation; what closes a hold is applied even when the caller leaves. Raises STORE_UNAVAILABLE when
        too many wait already or after `close`; the future raises it when the database gave no answer in time."""
        lane = self._lane(op.account_id)
        if self._closed or (op.takes and lane.length >= self._settings.waiting_max):
            raise store_unavailable()
        now = self._loop.time()
        keep_s = self._settings.answer_s if op.takes else self._settings.persist_s
        future = self._loop.create_future()
        lane.put((Waiting(op, future, now + self._settings.answer_s, now + keep_s),))
        return future

    def _lane(self, account_id: UUID) -> Lane:
        usual = self._lanes[account_id.int % len(self._lanes)]
        return self._detours.get(account_id, usual) if self._detours else usual

    async def close(self) -> None:
        """Lets the lanes finish what is queued, then gives their connections up."""
        lanes = [*self._lanes, *self._detours.values()]
        if workers := [lane.worker for lane in lanes if lane.worker]:
            _, late = await asyncio.wait(workers, timeout=self._settings.drain_s)
            self._closed = True
            for worker in late:
                worker.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._closed = True
        for held in (*(lane.held for lane in self._lanes), *self._spares):
            await held.close()

    def _divert(self, lane: Lane, account_id: UUID, batch: list[Waiting]) -> bool:
        """Moves a blocked account to a lane of its own until nothing waits for it. False where that cannot be."""
        if account_id not in self._detours and self._spares:
            idle = partial(self._rejoin, account_id)
            self._detours[account_id] = Lane(self._spares.pop(), self._settings.batch_max, self._divert, idle)
        detour = self._detours.get(account_id, lane)
        if detour is not lane:
            detour.put([*batch, *lane.withdraw(account_id)])
        return detour is not lane

    def _rejoin(self, account_id: UUID) -> None:
        self._spares.append(self._detours.pop(account_id).held)
