"""How many streams a key may hold open at once on this replica."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.edge.limits import Traffic


class Places:
    """One for all ways to stream."""

    def __init__(self, per_key_max: int, traffic: Traffic) -> None:
        self._per_key_max = per_key_max
        self._traffic = traffic
        self._taken: Counter[str] = Counter()

    @contextmanager
    def take(self, holder: str, kind: str) -> Iterator[None]:
        """`kind` is `sse` or `websocket`. Raises CONCURRENCY_LIMITED."""
        if self._taken[holder] >= self._per_key_max:
            raise TrunklineError(
                Reason.CONCURRENCY_LIMITED, f"the key has {self._per_key_max} streams open", retry_after_s=1.0
            )
        self._taken[holder] += 1
        self._traffic.streams[kind] += 1
        self._traffic.open_streams[kind] += 1
        try:
            yield
        finally:
            self._traffic.open_streams[kind] -= 1
            self._taken[holder] -= 1
            if not self._taken[holder]:
                del self._taken[holder]
