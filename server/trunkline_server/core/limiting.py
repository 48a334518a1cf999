"""Rate limits as plain arithmetic: how each algorithm counts, when it lets through, and how long to wait until it does.

`store/limits.lua` says the same for the store that replicas share, operation for operation, so that both agree.
Times are microseconds since 1970, amounts are units; levels may be fractions of a unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

SLACK: Final = 1e-3
"""What rounding may take of a unit: who waits as long as they were told gets through."""


class Algorithm(StrEnum):
    """How use is counted over time."""

    BUCKET = "bucket"
    FIXED = "fixed"
    SLIDING = "sliding"
    LEASES = "leases"


@dataclass(frozen=True, slots=True)
class Bound:
    """One counter and its limit. `burst` is what a bucket lets through at once; the others have it at `amount`."""

    key: str
    algorithm: Algorithm
    amount: int
    window_us: int
    burst: int

    @property
    def most(self) -> int:
        """No call is counted for more: one that is larger than the whole limit waits until all of it is there."""
        return self.burst if self.algorithm is Algorithm.BUCKET else self.amount

    def share(self, replicas: int) -> Bound:
        """The part of one replica of several that count apart."""
        amount, burst = max(self.amount // replicas, 1), max(self.burst // replicas, 1)
        window_us = self.window_us
        if self.amount < replicas:  # less than one unit each: one unit, more seldom
            window_us = window_us * replicas // self.amount
        return Bound(self.key, self.algorithm, amount, window_us, burst)


@dataclass(frozen=True, slots=True)
class Look:
    """What a bound says: what is left, how long to wait (0: it gets through), how long until all is back."""

    remaining: int
    wait_us: int
    refill_us: int


@dataclass(slots=True)
class Bucket:
    """Leaks evenly; full at `burst`. The same decisions as GCRA, with the level in units instead of in time."""

    level: float = 0.0
    at_us: int = 0

    def roll(self, bound: Bound, now_us: int) -> None:
        if now_us > self.at_us:
            self.level = max(0.0, self.level - (now_us - self.at_us) * bound.amount / bound.window_us)
            self.at_us = now_us

    def look(self, bound: Bound, cost: int, now_us: int) -> Look:  # noqa: ARG002 - all are asked alike
        per_unit_us = bound.window_us / bound.amount
        excess = self.level + cost - bound.burst
        wait_us = math.ceil(excess * per_unit_us) if excess > SLACK else 0
        remaining = math.floor(bound.burst - self.level + SLACK)
        return Look(remaining, wait_us, math.ceil(self.level * per_unit_us))

    def add(self, units: int, taken_us: int) -> None:  # noqa: ARG002 - all are asked alike
        self.level = max(0.0, self.level + units)


@dataclass(slots=True)
class Fixed:
    """Counts from the beginning of the window."""

    start_us: int = 0
    used: float = 0.0

    def roll(self, bound: Bound, now_us: int) -> None:
        start_us = now_us - now_us % bound.window_us
        if start_us > self.start_us:
            self.start_us, self.used = start_us, 0.0

    def look(self, bound: Bound, cost: int, now_us: int) -> Look:
        left_us = self.start_us + bound.window_us - now_us
        wait_us = left_us if self.used + cost > bound.amount + SLACK else 0
        return Look(math.floor(bound.amount - self.used), wait_us, left_us if self.used > 0 else 0)

    def add(self, units: int, taken_us: int) -> None:
        if units > 0 or taken_us >= self.start_us:
            self.used = max(0.0, self.used + units)


@dataclass(slots=True)
class Sliding:
    """Counts the window before by how much of it is still within the last window's length."""

    start_us: int = 0
    used: float = 0.0
    before: float = 0.0

    def roll(self, bound: Bound, now_us: int) -> None:
        start_us = now_us - now_us % bound.window_us
        if start_us > self.start_us:
            self.before = self.used if start_us - self.start_us == bound.window_us else 0.0
            self.start_us, self.used = start_us, 0.0

    def look(self, bound: Bound, cost: int, now_us: int) -> Look:
        passed = (now_us - self.start_us) / bound.window_us
        weighed = self.before * (1 - passed) + self.used
        wait_us = 0
        if weighed + cost > bound.amount + SLACK:
            wait_us = math.ceil(self._due_us(bound, cost) - now_us)
        return Look(math.floor(bound.amount - weighed + SLACK), wait_us, self._refill_us(bound, now_us))

    def _due_us(self, bound: Bound, cost: int) -> float:
        """When enough of what was used has slid out."""
        room = bound.amount - cost - self.used
        if room >= 0:
            return self.start_us + bound.window_us * (1 - room / self.before)
        return self.start_us + bound.window_us + bound.window_us * (1 - (bound.amount - cost) / self.used)

    def _refill_us(self, bound: Bound, now_us: int) -> int:
        end_us = self.start_us + bound.window_us
        if self.used > 0:
            return end_us + bound.window_us - now_us
        return end_us - now_us if self.before > 0 else 0

    def add(self, units: int, taken_us: int) -> None:
        if units > 0 or taken_us >= self.start_us:
            self.used = max(0.0, self.used + units)
        else:
            self.before = max(0.0, self.before + units)


@dataclass(slots=True)
class Leases:
    """Those who are inside, each until its time is over, whether or not it says that it leaves."""

    until_us: dict[str, int] = field(default_factory=dict)

    def roll(self, bound: Bound, now_us: int) -> None:  # noqa: ARG002 - all are asked alike
        for lease in [lease for lease, until_us in self.until_us.items() if until_us <= now_us]:
            del self.until_us[lease]

    def look(self, bound: Bound, cost: int, now_us: int) -> Look:
        remaining = bound.amount - len(self.until_us)
        return Look(remaining, 0 if cost <= remaining else min(self.until_us.values()) - now_us, 0)


State: TypeAlias = Bucket | Fixed | Sliding | Leases
STATES: Final[Mapping[Algorithm, type[Bucket | Fixed | Sliding | Leases]]] = {
    Algorithm.BUCKET: Bucket,
    Algorithm.FIXED: Fixed,
    Algorithm.SLIDING: Sliding,
    Algorithm.LEASES: Leases,
}
