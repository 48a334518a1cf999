"""How long to wait for a provider: for its first word, for the next one, and until the call's own time is over.

One timer per attempt, which looks again when it is due; a read costs one store.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, NamedTuple, Self

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure

SETTLE_RESERVE_S: Final = 0.1
"""Kept back from the caller's deadline, so that the bill can still be told."""
_TICK_S: Final = 0.001
"""Timers of the event loop count milliseconds, so that they may be due a little before their time."""


class Limits(NamedTuple):
    """`first_s` to the first read, `idle_s` between reads, `attempt_s` for the attempt where the caller says so."""

    first_s: float
    idle_s: float
    attempt_s: float | None = None


class Patience:
    """A context manager around one attempt. Raises UpstreamFailure (a timeout) or TrunklineError (DEADLINE)."""

    __slots__ = ("_deadline", "_ends", "_expired", "_heard", "_idle_s", "_last", "_loop", "_task", "_timer")

    def __init__(self, limits: Limits, deadline: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        now = self._last = self._loop.time()
        self._deadline = deadline - SETTLE_RESERVE_S
        self._ends = now + limits.attempt_s if limits.attempt_s is not None else None
        self._idle_s = limits.idle_s
        self._heard = False
        self._expired: Exception | None = None
        self._timer = self._loop.call_at(min(now + limits.first_s, self._due_at_latest()), self._look)

    def heard(self) -> None:
        """Something was read."""
        self._heard = True
        self._last = self._loop.time()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._expired is None or not isinstance(error, asyncio.CancelledError):
            return
        if self._task is not None and self._task.uncancel() <= 0:
            raise self._expired from None

    def _due_at_latest(self) -> float:
        return self._deadline if self._ends is None else min(self._deadline, self._ends)

    def _look(self) -> None:
        now = self._loop.time()
        due = min(self._last + self._idle_s, self._due_at_latest()) if self._heard else now
        if due > now:
            self._timer = self._loop.call_at(due, self._look)
        elif self._task is not None:
            self._expired = self._what_ran_out(now)
            self._task.cancel()

    def _what_ran_out(self, now: float) -> Exception:
        if now + _TICK_S >= self._deadline:
            return TrunklineError(Reason.DEADLINE, "the call's time is over", metadata={"stage": "provider"})
        return UpstreamFailure(FailureKind.TIMEOUT_IDLE if self._heard else FailureKind.TIMEOUT_FIRST_TOKEN)
