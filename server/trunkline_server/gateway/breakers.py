"""Circuit breakers: a sick provider gets no calls, and one at a time when it is due to be well again.

    closed ──(too many failed or were slow)──▶ open ──(its time is over)──▶ half-open ──(two probes went well)──▶ closed
                                                ▲                              │
                                                └──────(a probe went wrong)────┘

pybreaker holds the state and tells its listeners. Whether a call may pass is decided here: pybreaker's own way of
calling lets every waiting call through in half-open, and takes a caller who leaves for a failure.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from pybreaker import STATE_CLOSED, STATE_OPEN, CircuitBreaker, CircuitBreakerListener, CircuitMemoryStorage

from trunkline_server.gateway.window import Window

WINDOW_S: Final = 30.0
PROBES: Final = 2
EARLY_S: Final = 5.0
"""Where every candidate is open, one may be probed before its time, but no more often than this."""
JITTER: Final = 0.1
UNCOUNTED: Final = -1
"""The number of a call that says nothing about the breaker, which was open when it passed."""

Clock = Callable[[], float]


class Outcome(Enum):
    """What a call says about the provider."""

    SUCCESS = auto()
    SLOW = auto()
    FAILURE = auto()
    DOWN = auto()  # a failure that a few in a row are enough of
    NEUTRAL = auto()  # nothing: the caller left, or asked wrongly


class Way(Enum):
    """How a call wants to pass a breaker."""

    DUE = auto()  # where it is closed, or its time has come
    EARLY = auto()  # there is nowhere else to go: soon after it opened will do
    ANYWAY = auto()  # it only fails too often, and so do the others


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When a breaker opens, and for how long: `open_s`, longer each time that a probe fails."""

    down_in_row_max: int = 5
    calls_min: int = 20
    failure_ratio: float = 0.5
    slow_ratio: float = 0.8
    open_s: float = 30.0
    open_s_max: float = 300.0


class Gate:
    """One breaker. Whoever gets a number from `acquire` must give it back to `release`, once."""

    __slots__ = (
        "_clock",
        "_down_in_row",
        "_early",
        "_good",
        "_opened_s",
        "_opens",
        "_probing",
        "_rules",
        "_window",
        "breaker",
        "fails_too_often",
        "generation",
        "is_closed",
        "opens_until_s",
    )

    def __init__(self, name: str, rules: BreakerRules, clock: Clock, *listeners: CircuitBreakerListener) -> None:
        storage = CircuitMemoryStorage(STATE_CLOSED)
        self.breaker = CircuitBreaker(
            name=name, state_storage=storage, listeners=listeners, throw_new_error_on_trip=False
        )
        self.is_closed = True
        self.fails_too_often = False
        """Open because of a share of its calls: some of them do go well."""
        self.generation = 0
        self.opens_until_s = 0.0
        self._rules = rules
        self._clock = clock
        self._window = Window(WINDOW_S)
        self._opened_s = 0.0
        self._opens = self._down_in_row = self._good = 0
        self._probing = self._early = False

    @property
    def name(self) -> str:
        return self.breaker.name or ""

    def may_pass(self, way: Way = Way.DUE) -> bool:
        """Whether `acquire` would let a call through now."""
        return self.is_closed or self._is_borne(way) or (not self._probing and self._is_due(way))

    def acquire(self, way: Way = Way.DUE) -> int | None:
        """A number to come back with; None where the call may not pass."""
        if self.is_closed:
            return self.generation
        if self._probing or not self._is_due(way):
            return UNCOUNTED if self._is_borne(way) else None
        if self.breaker.current_state == STATE_OPEN:
            self._early = self._clock() < self.opens_until_s
            self._turn(self.breaker.half_open)
            self._good = 0
        self._probing = True
        return self.generation

    def release(self, generation: int, outcome: Outcome) -> None:
        """The call has ended. Of an earlier state than today's it says nothing any more."""
        if generation != self.generation:
            return
        if self.is_closed:
            self._count(outcome)
        else:
            self._probed(outcome)

    def trip(self, generation: int) -> None:
        """Open at once, whatever the counts say."""
        if generation == self.generation:
            self._open()

    def suspect(self) -> None:
        """Somebody else has seen it fail: let one call at a time find out."""
        if self.is_closed:
            self._good = 0
            self._turn(self.breaker.half_open)

    def hold_open(self) -> None:
        """Open until it is reset."""
        self._open()
        self.opens_until_s = math.inf

    def reset(self) -> None:
        """Close, and forget."""
        self._close()

    def counts(self) -> Window:
        """What it judges by, as of now."""
        self._window.advance(self._clock())
        return self._window

    def _is_borne(self, way: Way) -> bool:
        return way is Way.ANYWAY and self.fails_too_often

    def _is_due(self, way: Way) -> bool:
        if self.breaker.current_state != STATE_OPEN:
            return True
        if way is Way.EARLY and self.opens_until_s != math.inf:
            return self._clock() >= min(self._opened_s + EARLY_S, self.opens_until_s)
        return self._clock() >= self.opens_until_s

    def _count(self, outcome: Outcome) -> None:
        if outcome is Outcome.NEUTRAL:
            return
        down = outcome is Outcome.DOWN
        self._down_in_row = self._down_in_row + 1 if down else 0
        self._window.add(self._clock(), failed=down or outcome is Outcome.FAILURE, slow=outcome is Outcome.SLOW)
        if self._down_in_row >= self._rules.down_in_row_max:
            self._open()
        elif outcome is not Outcome.SUCCESS and self._is_too_much():
            self._open()
            self.fails_too_often = True

    def _is_too_much(self) -> bool:
        rules, window = self._rules, self._window
        failed = window.failures >= rules.failure_ratio * window.calls
        return window.calls >= rules.calls_min and (failed or window.slow >= rules.slow_ratio * window.calls)

    def _probed(self, outcome: Outcome) -> None:
        self._probing = False
        if outcome is Outcome.SUCCESS:
            self._good += 1
            if self._good >= PROBES:
                self._close()
        elif outcome is not Outcome.NEUTRAL:
            self._open()

    def _open(self) -> None:
        """A probe before its time that fails does not make the wait longer."""
        self._opens = max(self._opens + (not self._early), 1)
        self._early = self.fails_too_often = False
        open_s = min(self._rules.open_s * self._opens, self._rules.open_s_max)
        self._opened_s = self._clock()
        self.opens_until_s = self._opened_s + open_s * random.uniform(1 - JITTER, 1 + JITTER)
        self._turn(self.breaker.open)

    def _close(self) -> None:
        self._opens = self._down_in_row = 0
        self._early = self.fails_too_often = False
        self.opens_until_s = 0.0
        self._window.clear()
        self._turn(self.breaker.close)

    def _turn(self, change: Callable[[], object]) -> None:
        self.generation += 1
        self._probing = False
        change()
        self.is_closed = self.breaker.current_state == STATE_CLOSED
