"""One line to a model at a provider: what stands between a call and it, and what is known of how it goes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import Breaker, FailureKind, UpstreamFailure
from trunkline_server.core.pace import SHORT_S, Pace
from trunkline_server.gateway.breakers import BreakerRules, Clock, Gate, Outcome, Way
from trunkline_server.gateway.budgets import RetryBudget
from trunkline_server.gateway.bulkhead import Bulkhead
from trunkline_server.gateway.health import Health, Latency

_DOWN: Final = frozenset((FailureKind.NEVER_SENT, FailureKind.TRANSIENT))
_OUTCOMES: Final[Mapping[Breaker, Outcome]] = {
    Breaker.FAILURE: Outcome.FAILURE,
    Breaker.SLOW: Outcome.SLOW,
    Breaker.THROTTLE: Outcome.NEUTRAL,
    Breaker.CREDENTIAL: Outcome.NEUTRAL,
    Breaker.NEUTRAL: Outcome.NEUTRAL,
}


@dataclass(frozen=True, slots=True)
class LineSettings:
    """`first_word_slow_s`, `whole_slow_s`: from when on a stream's first word, a whole answer, counts as slow."""

    rules: BreakerRules = field(default_factory=BreakerRules)
    first_word_slow_s: float = 10.0
    whole_slow_s: float = 60.0
    calls_max: int = 256
    cool_down_s_max: float = 300.0


class Trunk:
    """What all lines to one provider share: the breaker of our key there, the places, its health, what may be retried.

    A tenant's own key has another trunk, `is_own`, so that what goes wrong with it is nobody else's trouble.
    """

    __slots__ = ("budget", "bulkhead", "health", "is_own", "key_gate", "lines", "provider")

    def __init__(
        self, provider: str, key_gate: Gate, bulkhead: Bulkhead, health: Health, *, is_own: bool = False
    ) -> None:
        self.provider = provider
        self.is_own = is_own
        self.key_gate = key_gate
        self.bulkhead = bulkhead
        self.health = health
        self.budget = RetryBudget()
        self.lines: dict[str, Line] = {}

    def gates(self) -> list[Gate]:
        """Of the key first, then of the models by name."""
        return [self.key_gate, *(self.lines[model].gate for model in sorted(self.lines))]


class Line:
    """One model at one provider."""

    __slots__ = ("_clock", "_settings", "cool_until_s", "gate", "latency", "pace", "trunk")

    def __init__(self, trunk: Trunk, gate: Gate, settings: LineSettings, clock: Clock) -> None:
        self.trunk = trunk
        self.gate = gate
        self.latency = Latency()
        self.pace = Pace()
        self.cool_until_s = 0.0
        self._settings = settings
        self._clock = clock

    def may_pass(self, way: Way = Way.DUE) -> bool:
        """Whether its breakers would let a call through."""
        return self.gate.may_pass(way) and self.trunk.key_gate.may_pass(way)

    @property
    def fails_too_often(self) -> bool:
        """The share of calls that fail is all that is against it."""
        return self.gate.fails_too_often and self.trunk.key_gate.is_closed

    @property
    def is_cooling(self) -> bool:
        """The provider asked to be left alone for a while, or has said that it would refuse."""
        told = self.cool_until_s > 0 and self._clock() < self.cool_until_s
        return told or self.pace.pause_s() > SHORT_S

    @property
    def due_in_s(self) -> float:
        """When its breakers let the next call through."""
        return max(0.0, max(self.gate.opens_until_s, self.trunk.key_gate.opens_until_s) - self._clock())

    def enter(self, *, streaming: bool, way: Way = Way.DUE, timed: bool = True) -> Visit | None:
        """Take a place, which the caller has to leave again; None where a breaker is open. `timed`: it can be slow."""
        generation = self.gate.acquire(way)
        if generation is None:
            return None
        key_generation = self.trunk.key_gate.acquire(way)
        if key_generation is None:
            self.gate.release(generation, Outcome.NEUTRAL)
            return None
        self.pace.begun += 1
        return Visit(self, generation, key_generation, streaming=streaming, timed=timed)

    def slow_s(self, *, streaming: bool) -> float:
        return self._settings.first_word_slow_s if streaming else self._settings.whole_slow_s

    def cool(self, told_s: float | None) -> None:
        """The provider throttles us."""
        if told_s:
            self.cool_until_s = self._clock() + min(told_s, self._settings.cool_down_s_max)


class Visit:
    """One attempt, around which it is a context manager: tells the breakers and the health what it came to."""

    __slots__ = ("_generation", "_is_lost", "_key_generation", "_line", "_streaming", "_timed", "_word_s", "began")

    def __init__(self, line: Line, generation: int, key_generation: int, *, streaming: bool, timed: bool) -> None:
        self._line = line
        self._generation = generation
        self._key_generation = key_generation
        self._streaming = streaming
        self._timed = timed
        self._word_s: float | None = None
        self._is_lost = False
        self.began = time.perf_counter()

    def heard(self) -> None:
        """Something was read."""
        if self._word_s is None:
            self._word_s = time.perf_counter() - self.began

    def lost(self) -> None:
        """Another attempt was faster: this one says nothing about the provider."""
        self._is_lost = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.trunk.bulkhead.leave()
        if error is None and not self._is_lost:
            self._succeeded()
        elif isinstance(error, UpstreamFailure):
            self._failed(error)
        else:
            self._ended(error)

    def _succeeded(self) -> None:
        line, trunk = self._line, self._line.trunk
        took_s = self._word_s if self._word_s is not None else time.perf_counter() - self.began
        slow = self._timed and took_s > line.slow_s(streaming=self._streaming)
        line.gate.release(self._generation, Outcome.SLOW if slow else Outcome.SUCCESS)
        trunk.key_gate.release(self._key_generation, Outcome.SUCCESS)
        if self._timed:
            line.latency.add(took_s, streaming=self._streaming)
            trunk.health.latency.add(took_s, streaming=self._streaming)
        trunk.health.succeeded()

    def _failed(self, failure: UpstreamFailure) -> None:
        line, trunk, breaker = self._line, self._line.trunk, failure.rule.breaker
        line.gate.release(self._generation, Outcome.DOWN if failure.kind in _DOWN else _OUTCOMES[breaker])
        if trunk.is_own:  # the tenant is told each time: no other key goes in its place, and a new one works at once
            trunk.key_gate.release(self._key_generation, Outcome.NEUTRAL)
        elif failure.kind is FailureKind.QUOTA:
            trunk.key_gate.trip(self._key_generation)
        else:
            refused = breaker is Breaker.CREDENTIAL
            trunk.key_gate.release(self._key_generation, Outcome.DOWN if refused else Outcome.NEUTRAL)
        if breaker is Breaker.THROTTLE:
            line.cool(failure.retry_after_s)
        if breaker is not Breaker.NEUTRAL:
            trunk.health.failed(failure.kind.value)

    def _ended(self, error: BaseException | None) -> None:
        """Overtaken, left by its caller, or out of time: a word about the provider only where it was slow indeed."""
        is_late = isinstance(error, TrunklineError) and error.reason is Reason.DEADLINE and self._word_s is None
        slow = is_late and time.perf_counter() - self.began > self._line.slow_s(streaming=self._streaming)
        self._line.gate.release(self._generation, Outcome.SLOW if slow else Outcome.NEUTRAL)
        self._line.trunk.key_gate.release(self._key_generation, Outcome.NEUTRAL)
