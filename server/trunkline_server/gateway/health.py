"""How one provider does: what attempts there came to in the last minutes, and how long they took."""

from __future__ import annotations

import time
from typing import Final

from trunkline_server.gateway.breakers import Clock
from trunkline_server.gateway.window import Window

SPAN_S: Final = 300.0
NEWEST_SHARE: Final = 0.2
"""What the newest value counts in a moving average."""


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

    __slots__ = ("first_word", "whole")

    def __init__(self) -> None:
        self.first_word = Average()
        self.whole = Average()

    def typical_s(self, *, streaming: bool) -> float | None:
        return (self.first_word if streaming else self.whole).value_s

    def add(self, seconds: float, *, streaming: bool) -> None:
        (self.first_word if streaming else self.whole).add(seconds)


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
