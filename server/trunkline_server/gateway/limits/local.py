"""Counts in this process alone: where there is no Redis, or while it is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from trunkline_server.core.limiting import STATES, Bound, Leases, Look, State
from trunkline_server.gateway.limits.counters import Ask, Told

KEPT_MIN: Final = 1024


def wall_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


class LocalCounters:
    """Never waits, so that a decision is one step."""

    def __init__(self, clock_us: Callable[[], int] = wall_us, *, degraded: bool = False) -> None:
        self.degraded = degraded
        self._clock_us = clock_us
        self._states: dict[str, tuple[Bound, State]] = {}
        self._prune_at = KEPT_MIN

    async def take(self, asks: Sequence[Ask], lease: str, lease_us: int) -> Told:
        now_us = self._clock_us()
        states = [self._state(ask.bound, now_us) for ask in asks]
        looks = [state.look(ask.bound, ask.units, now_us) for ask, state in zip(asks, states, strict=True)]
        longest = max(range(len(asks)), key=lambda place: looks[place].wait_us)
        if looks[longest].wait_us > 0:
            return Told(now_us, longest, looks, self)
        for ask, state in zip(asks, states, strict=True):
            if isinstance(state, Leases):
                state.until_us[lease] = now_us + lease_us
            else:
                state.add(ask.units, now_us)
        taken = [ask._replace(taken_us=now_us) for ask in asks]
        return Told(now_us, None, self._looks([ask.bound for ask in asks], now_us), self, taken)

    async def give(self, asks: Sequence[Ask], lease: str) -> None:
        now_us = self._clock_us()
        for ask in asks:
            state = self._state(ask.bound, now_us)
            if isinstance(state, Leases):
                state.until_us.pop(lease, None)
            else:
                state.add(ask.units, ask.taken_us)

    async def look(self, bounds: Sequence[Bound]) -> Told:
        now_us = self._clock_us()
        return Told(now_us, None, self._looks(bounds, now_us), self)

    def _looks(self, bounds: Sequence[Bound], now_us: int) -> list[Look]:
        return [self._state(bound, now_us).look(bound, 0, now_us) for bound in bounds]

    def _state(self, bound: Bound, now_us: int) -> State:
        _, state = self._states.get(bound.key, (bound, None))
        if state is None:
            self._prune(now_us)
            state = STATES[bound.algorithm]()
        self._states[bound.key] = (bound, state)
        state.roll(bound, now_us)
        return state

    def _prune(self, now_us: int) -> None:
        """Forget counters that say the same as new ones, each time that there are twice as many."""
        if len(self._states) < self._prune_at:
            return
        for bound, state in self._states.values():
            state.roll(bound, now_us)
        self._states = {
            key: (bound, state) for key, (bound, state) in self._states.items() if not _is_fresh(bound, state, now_us)
        }
        self._prune_at = max(KEPT_MIN, 2 * len(self._states))


def _is_fresh(bound: Bound, state: State, now_us: int) -> bool:
    if isinstance(state, Leases):
        return not state.until_us
    return state.look(bound, 0, now_us).refill_us == 0
