"""How many calls may be in the house at once: as many as the event loop can serve in time, shared out among tenants.

The limit falls while the loop is late, and grows again while it is not. A call beyond it waits a moment for a place,
and is then refused, cheaply; by as much as the loop is late it waits less, so that a refusal is soon told. Whoever has
less than a fair share gets in a little beyond the limit. What is less urgent finds the house full sooner, and waits
behind what is more urgent.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.priority import Priority

LOOK_S: Final = 0.05
LOOKS: Final = 20
WAIT_S: Final = 0.04
WAIT_S_MIN: Final = 0.01
FALL: Final = 0.9
RISE: Final = 1.05
FAIR_ROOM: Final = 1.25
MEMORY_TIGHT: Final = 0.85
MEMORY_FULL: Final = 0.95
SHARES: Final = {Priority.SHEDDABLE: 0.5, Priority.BATCH: 0.8, Priority.INTERACTIVE: 1.0, Priority.CRITICAL: 1.25}
"""Of the places, what calls of each kind may find taken and still get in."""
WAITING_SHARE: Final = 4
_CGROUP_LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_STATM: Final = Path("/proc/self/statm")
_PAGE_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class PressureSettings:
    """The limit moves between `calls_min` and `calls_max`, and falls while the loop is later than `lag_s`."""

    calls_min: int
    calls_max: int
    lag_s: float


def memory_share() -> float:
    """How much of what this process may have it has; 0 where nothing bounds it."""
    for file in _CGROUP_LIMITS:
        try:
            bytes_max = int(file.read_text())
            return int(_STATM.read_text().split()[1]) * _PAGE_BYTES / bytes_max
        except (OSError, ValueError):
            continue
    return 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """One call at the door."""

    tenant_id: UUID
    priority: Priority
    place: asyncio.Future[None]


class Pressure:
    """Counts the calls that are inside."""

    def __init__(self, settings: PressureSettings, memory: Callable[[], float] = memory_share) -> None:
        self._settings = settings
        self._memory = memory
        self._inside: Counter[UUID] = Counter()
        self._count = 0
        self._waiting: list[_Waiting] = []
        self._least: Priority | None = Priority.SHEDDABLE
        self.calls_max = settings.calls_max
        self._wait_s = WAIT_S
        self.lag_s = 0.0
        """How late the loop was, at worst, in the second before."""

    @property
    def count(self) -> int:
        """Calls that are inside."""
        return self._count

    @property
    def waiting(self) -> int:
        """Calls that wait at the door."""
        return len(self._waiting)

    async def enter(
        self, tenant_id: UUID, priority: Priority = Priority.INTERACTIVE, deadline: float = math.inf
    ) -> None:
        """A place for a call, to be left again. Raises OVERLOADED."""
        if self._least is None or priority < self._least:
            raise _overloaded()
        if self._has_place(tenant_id, priority):
            self._take(tenant_id)
        else:
            await self._wait(tenant_id, priority, deadline)

    def leave(self, tenant_id: UUID) -> None:
        """The call has ended: its place is the next one's."""
        self._count -= 1
        self._inside[tenant_id] -= 1
        if not self._inside[tenant_id]:
            del self._inside[tenant_id]
        if self._waiting:
            self._let_in()

    def observe(self, lag_s: float) -> None:
        """How late the loop was, at worst, in the last second."""
        self.lag_s = lag_s
        self._least = _least(self._memory())
        self._wait_s = max(WAIT_S_MIN, WAIT_S - lag_s)
        given = self._settings
        if lag_s > given.lag_s:
            self.calls_max = max(given.calls_min, int(min(self.calls_max, self._count) * FALL))
        else:
            self.calls_max = min(given.calls_max, int(self.calls_max * RISE) + 1)

    async def watch(self) -> None:
        """Look at the loop, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            worst_s = 0.0
            for _ in range(LOOKS):
                due = loop.time() + LOOK_S
                await asyncio.sleep(LOOK_S)
                worst_s = max(worst_s, loop.time() - due)
            self.observe(worst_s)

    def _has_place(self, tenant_id: UUID, priority: Priority) -> bool:
        places = self.calls_max * SHARES[priority]
        if self._count < places:
            return True
        share = places / (len(self._inside) + (tenant_id not in self._inside))
        return self._inside[tenant_id] < share and self._count < places * FAIR_ROOM

    def _take(self, tenant_id: UUID) -> None:
        self._count += 1
        self._inside[tenant_id] += 1

    async def _wait(self, tenant_id: UUID, priority: Priority, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        self._make_room(priority)
        waiting = _Waiting(tenant_id, priority, loop.create_future())
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout_at(min(loop.time() + self._wait_s, deadline)):
                await waiting.place
        except BaseException as error:
            self._give_up(waiting)
            if isinstance(error, TimeoutError):
                raise _overloaded() from None
            raise

    def _make_room(self, priority: Priority) -> None:
        """At the door are only so many; the least urgent goes, if it is less urgent. Raises OVERLOADED."""
        if len(self._waiting) <= self.calls_max // WAITING_SHARE:
            return
        last = min(reversed(self._waiting), key=lambda each: each.priority)
        if last.priority >= priority:
            raise _overloaded()
        self._waiting.remove(last)
        if not last.place.done():
            last.place.set_exception(_overloaded())

    def _give_up(self, waiting: _Waiting) -> None:
        place = waiting.place
        if place.done() and not place.cancelled() and place.exception() is None:
            self.leave(waiting.tenant_id)
        elif waiting in self._waiting:
            self._waiting.remove(waiting)

    def _let_in(self) -> None:
        """Of those who wait, the most urgent, and among them one of the tenant with the fewest inside."""
        first = min(self._waiting, key=lambda each: (-each.priority, self._inside[each.tenant_id]))
        if not first.place.done() and self._has_place(first.tenant_id, first.priority):
            self._waiting.remove(first)
            self._take(first.tenant_id)
            first.place.set_result(None)


def _least(memory: float) -> Priority | None:
    """The least urgent that are taken; None where nobody is."""
    if memory > MEMORY_FULL:
        return None
    return Priority.INTERACTIVE if memory > MEMORY_TIGHT else Priority.SHEDDABLE


def _overloaded() -> TrunklineError:
    return TrunklineError(
        Reason.OVERLOADED, "the gateway has more calls than it can serve", retry_after_s=random.uniform(0.5, 1.5)
    )
