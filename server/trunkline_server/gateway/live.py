"""The calls that run in this process, so that they can be stopped from anywhere."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

from trunkline_server.core.errors import Reason


@dataclass(slots=True, eq=False)
class LiveCall:
    """A running call; `stopped` says why, once somebody asked for its end."""

    tenant_id: UUID
    task: asyncio.Task[object]
    stopped: Reason | None = None


class LiveCalls:
    """Finds running calls by the id of their completion."""

    def __init__(self) -> None:
        self._calls: dict[UUID, LiveCall] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def runs(self, tenant_id: UUID, completion_id: UUID) -> bool:
        """Whether this tenant's call runs here."""
        live = self._calls.get(completion_id)
        return live is not None and live.tenant_id == tenant_id

    async def ended(self, within_s: float) -> None:
        """Waits until nothing runs, but no longer than that."""
        tasks = {live.task for live in self._calls.values()} - {asyncio.current_task()}
        if tasks:
            await asyncio.wait(tasks, timeout=within_s)

    def entered(self, tenant_id: UUID, completion_id: UUID) -> _Entered:
        """The current task runs this call, within the context that comes back."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a call runs in a task")
        return _Entered(self._calls, completion_id, LiveCall(tenant_id, task))

    def stop(self, completion_id: UUID) -> bool:
        """End a call for its caller; False when it does not run here."""
        live = self._calls.get(completion_id)
        if live is not None:
            _stop(live, Reason.CANCELLED)
        return live is not None

    def stop_all(self) -> None:
        """End every call, because this replica goes away."""
        for live in self._calls.values():
            _stop(live, Reason.DRAINING)


class _Entered:
    """From here on until the block ends."""

    __slots__ = ("_calls", "_completion_id", "_live")

    def __init__(self, calls: dict[UUID, LiveCall], completion_id: UUID, live: LiveCall) -> None:
        self._calls = calls
        self._completion_id = completion_id
        self._live = live

    def __enter__(self) -> LiveCall:
        self._calls[self._completion_id] = self._live
        return self._live

    def __exit__(self, *failed: object) -> None:
        del self._calls[self._completion_id]


def _stop(live: LiveCall, reason: Reason) -> None:
    if live.stopped is None:
        live.stopped = reason
        live.task.cancel()
