"""Counts of the last seconds: what a breaker and a provider's health judge by."""

from __future__ import annotations

from typing import Final

BUCKETS: Final = 10


class Window:
    """Calls, failures and slow calls of the last `span_s` seconds, in ten buckets; the totals are always at hand."""

    __slots__ = ("_bucket_s", "_buckets", "_now", "calls", "failures", "slow")

    def __init__(self, span_s: float) -> None:
        self._bucket_s = span_s / BUCKETS
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._buckets = [[0, 0, 0] for _ in range(BUCKETS)]
        self._now = 0
        self.calls = self.failures = self.slow = 0

    def add(self, now_s: float, *, failed: bool = False, slow: bool = False) -> None:
        """One call that ended now."""
        self.advance(now_s)
        bucket = self._buckets[self._now % BUCKETS]
        bucket[0] += 1
        self.calls += 1
        if failed:
            bucket[1] += 1
            self.failures += 1
        if slow:
            bucket[2] += 1
            self.slow += 1

    def advance(self, now_s: float) -> None:
        """Drop what has become too old."""
        number = int(now_s / self._bucket_s)
        if number == self._now:
            return
        for passed in range(max(self._now + 1, number - BUCKETS + 1), number + 1):
            bucket = self._buckets[passed % BUCKETS]
            self.calls -= bucket[0]
            self.failures -= bucket[1]
            self.slow -= bucket[2]
            bucket[:] = 0, 0, 0
        self._now = number
