"""The calls that run in this process, so that they can be stopped from anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
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

    @contextmanager
    def entered(self, tenant_id: UUID, completion_id: UUID) -> Iterator[LiveCall]:
        """The current task runs this call."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a call runs in a task")
        live = self._calls[completion_id] = LiveCall(tenant_id, task)
        try:
            yield live
        finally:
            del self._calls[completion_id]

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


def _stop(live: LiveCall, reason: Reason) -> None:
    if live.stopped is None:
        live.stopped = reason
        live.task.cancel()
