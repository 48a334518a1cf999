"""Counts calls by method and code. Both are words of the contract, so there are only so many."""

from __future__ import annotations

from collections.abc import Iterator

from trunkline_server.core.figures import Counter, Family, Histogram


class CallMeter:
    """Told of every call when it has ended."""

    def __init__(self) -> None:
        self._calls = Counter("trunkline_calls_total", "Calls that ended, by RPC and status code.", "method", "code")
        self._durations = Histogram("trunkline_call_duration_seconds", "How long calls took, by RPC.", "method")

    def ended(self, method: str, code: str, duration_s: float) -> None:
        self._calls.add((method, code))
        self._durations.observe((method,), duration_s)

    def families(self) -> Iterator[Family]:
        yield self._calls.family()
        yield self._durations.family()
