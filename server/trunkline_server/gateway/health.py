"""How one provider does: what attempts there came to in the last minutes, and how long they took."""

from __future__ import annotations

import time
from collections import deque
from math import ceil
from typing import Final

from trunkline_server.gateway.breakers import Clock
from trunkline_server.gateway.window import Window

SPAN_S: Final = 300.0
NEWEST_SHARE: Final = 0.2
"""What the newest value counts in a moving average."""
RECENT_MIN: Final = 20
RECENT_MAX: Final = 100
USUAL_SHARE: Final = 0.95


class Average:
    """A moving average of seconds; None before the first value."""

    __slots__ = ("value_s",)

    def __init__(self) -> None:
        self.value_s: float | None = None

    def add(self, seconds: float) -> None:
        last = self.value_s
        self.value_s = seconds if last is None else last + NEWEST_SHARE * (seconds - last)


class Latency:
    """To the first word of a stream, and to a whole answer: two things that cannot be compared."""

    __slots__ = ("_recent_s", "first_word", "whole")

    def __init__(self) -> None:
        self.first_word = Average()
        self.whole = Average()
        self._recent_s: deque[float] = deque(maxlen=RECENT_MAX)

    def typical_s(self, *, streaming: bool) -> float | None:
        return (self.first_word if streaming else self.whole).value_s

    def add(self, seconds: float, *, streaming: bool) -> None:
        (self.first_word if streaming else self.whole).add(seconds)
        if not streaming:
            self._recent_s.append(seconds)

    def usual_s(self) -> float | None:
        """What 95 of 100 whole answers took no longer than, lately; None while too few were measured."""
        if len(self._recent_s) < RECENT_MIN:
            return None
        return sorted(self._recent_s)[ceil(len(self._recent_s) * USUAL_SHARE) - 1]


class Health:
    """Times are of the wall clock; 0: never."""

    __slots__ = ("_clock", "_window", "last_check_s", "last_failure_kind", "last_failure_s", "latency")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._window = Window(SPAN_S)
        self.latency = Latency()
        self.last_check_s = 0.0
        self.last_failure_s = 0.0
        self.last_failure_kind = ""

    def succeeded(self) -> None:
        self._window.add(self._clock())
        self.last_check_s = time.time()

    def failed(self, kind: str) -> None:
        self._window.add(self._clock(), failed=True)
        self.last_check_s = self.last_failure_s = time.time()
        self.last_failure_kind = kind

    def counts(self) -> Window:
        """Of the last five minutes."""
        self._window.advance(self._clock())
        return self._window

    def tested(self, failure_kind: str) -> None:
        """Somebody looked whether it answers."""
        if failure_kind:
            self.failed(failure_kind)
        else:
            self.succeeded()
