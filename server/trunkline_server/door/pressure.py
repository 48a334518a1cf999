"""How many calls may be in the house at once: as many as the event loop can serve in time, shared out among tenants.

The limit falls while the loop is late, and grows again while it is not. A call beyond it waits a moment for a place,
and is then refused, cheaply. Whoever has less than a fair share gets in a little beyond the limit.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from trunkline_server.core.errors import Reason, TrunklineError

LOOK_S: Final = 0.05
LOOKS: Final = 20
WAIT_S: Final = 0.1
FALL: Final = 0.9
RISE: Final = 1.05
FAIR_ROOM: Final = 1.25
MEMORY_FULL: Final = 0.95
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


class Pressure:
    """Counts the calls that are inside."""

    def __init__(self, settings: PressureSettings, memory: Callable[[], float] = memory_share) -> None:
        self._settings = settings
        self._memory = memory
        self._inside: Counter[UUID] = Counter()
        self._count = 0
        self._waiting: deque[tuple[UUID, asyncio.Future[None]]] = deque()
        self._is_full = False
        self.calls_max = settings.calls_max

    async def enter(self, tenant_id: UUID) -> None:
        """A place for a call, to be left again. Raises OVERLOADED."""
        if self._is_full:
            raise _overloaded()
        if self._has_place(tenant_id):
            self._take(tenant_id)
        else:
            await self._wait(tenant_id)

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
        self._is_full = self._memory() > MEMORY_FULL
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

    def _has_place(self, tenant_id: UUID) -> bool:
        if self._count < self.calls_max:
            return True
        share = self.calls_max / (len(self._inside) + (tenant_id not in self._inside))
        return self._inside[tenant_id] < share and self._count < self.calls_max * FAIR_ROOM

    def _take(self, tenant_id: UUID) -> None:
        self._count += 1
        self._inside[tenant_id] += 1

    async def _wait(self, tenant_id: UUID) -> None:
        if len(self._waiting) > self.calls_max // WAITING_SHARE:
            raise _overloaded()
        waiting = (tenant_id, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(WAIT_S):
                await waiting[1]
        except BaseException as error:
            self._give_up(*waiting)
            if isinstance(error, TimeoutError):
                raise _overloaded() from None
            raise

    def _give_up(self, tenant_id: UUID, place: asyncio.Future[None]) -> None:
        if place.done() and not place.cancelled():
            self.leave(tenant_id)
        else:
            self._waiting = deque(each for each in self._waiting if each[1] is not place)

    def _let_in(self) -> None:
        """Of those who wait, one of the tenant with the fewest inside."""
        tenant_id, place = min(self._waiting, key=lambda each: self._inside[each[0]])
        if not place.done() and self._has_place(tenant_id):
            self._waiting.remove((tenant_id, place))
            self._take(tenant_id)
            place.set_result(None)


def _overloaded() -> TrunklineError:
    return TrunklineError(
        Reason.OVERLOADED, "the gateway has more calls than it can serve", retry_after_s=random.uniform(0.5, 1.5)
    )
