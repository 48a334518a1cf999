"""The lines to providers: what stands between a call and a model there, and what is known of how it goes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Final, Self
from uuid import UUID

from pybreaker import STATE_OPEN, CircuitBreaker, CircuitBreakerListener, CircuitBreakerState

from trunkline_server.core.errors import Reason, TrunklineError, not_found
from trunkline_server.core.failure import Breaker, FailureKind, UpstreamFailure
from trunkline_server.core.pace import SHORT_S, Pace
from trunkline_server.gateway.breakers import BreakerRules, Clock, Gate, Outcome
from trunkline_server.gateway.bulkhead import Bulkhead
from trunkline_server.gateway.health import Health, Latency

_log = logging.getLogger(__name__)

MODELS_MAX: Final = 4096
"""Models of a provider may be named by callers, so what is remembered about them is bounded."""
KEY_RULES: Final = BreakerRules(down_in_row_max=3, calls_min=2**62, open_s=300.0)
"""A refused key: one 403 may be about a single model, three in a row are about the key."""

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
    """What all lines to one provider share: the breaker of our key there, the places, its health.

    A tenant's own key has another trunk, `is_own`, so that what goes wrong with it is nobody else's trouble.
    """

    __slots__ = ("bulkhead", "health", "is_own", "key_gate", "lines", "provider")

    def __init__(
        self, provider: str, key_gate: Gate, bulkhead: Bulkhead, health: Health, *, is_own: bool = False
    ) -> None:
        self.provider = provider
        self.is_own = is_own
        self.key_gate = key_gate
        self.bulkhead = bulkhead
        self.health = health
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

    def may_pass(self, *, early: bool = False) -> bool:
        """Whether its breakers would let a call through."""
        return self.gate.may_pass(early=early) and self.trunk.key_gate.may_pass(early=early)

    @property
    def is_cooling(self) -> bool:
        """The provider asked to be left alone for a while, or has said that it would refuse."""
        told = self.cool_until_s > 0 and self._clock() < self.cool_until_s
        return told or self.pace.pause_s() > SHORT_S

    @property
    def due_in_s(self) -> float:
        """When its breakers let the next call through."""
        return max(0.0, max(self.gate.opens_until_s, self.trunk.key_gate.opens_until_s) - self._clock())

    def enter(self, *, streaming: bool, early: bool = False) -> Visit | None:
        """Take a place, which the caller has to leave again; None where a breaker is open."""
        generation = self.gate.acquire(early=early)
        if generation is None:
            return None
        key_generation = self.trunk.key_gate.acquire(early=early)
        if key_generation is None:
            self.gate.release(generation, Outcome.NEUTRAL)
            return None
        self.pace.begun += 1
        return Visit(self, generation, key_generation, streaming=streaming)

    def slow_s(self, *, streaming: bool) -> float:
        return self._settings.first_word_slow_s if streaming else self._settings.whole_slow_s

    def cool(self, told_s: float | None) -> None:
        """The provider throttles us."""
        if told_s:
            self.cool_until_s = self._clock() + min(told_s, self._settings.cool_down_s_max)


class Visit:
    """One attempt, around which it is a context manager: tells the breakers and the health what it came to."""

    __slots__ = ("_generation", "_is_lost", "_key_generation", "_line", "_streaming", "_word_s", "began")

    def __init__(self, line: Line, generation: int, key_generation: int, *, streaming: bool) -> None:
        self._line = line
        self._generation = generation
        self._key_generation = key_generation
        self._streaming = streaming
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
        slow = took_s > line.slow_s(streaming=self._streaming)
        line.gate.release(self._generation, Outcome.SLOW if slow else Outcome.SUCCESS)
        trunk.key_gate.release(self._key_generation, Outcome.SUCCESS)
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


class News(StrEnum):
    """What other replicas may want to know of a breaker: it opened by itself, or an operator's hand was on it."""

    OPENED = "opened"
    HELD = "held"
    RESET = "reset"


class Lines(CircuitBreakerListener):
    """All lines of this process, made when they are first asked for. `tell` takes what others should hear."""

    def __init__(self, settings: LineSettings, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self._settings = settings
        self._trunks: dict[str, Trunk] = {}
        self._own: dict[tuple[UUID, str], Trunk] = {}
        self._watchers: set[Callable[[], None]] = set()
        self._quiet = False
        self.tell: Callable[[News, str], None] = lambda _news, _name: None

    def trunk(self, provider: str) -> Trunk:
        trunk = self._trunks.get(provider)
        if trunk is None:
            key_gate = Gate(provider, KEY_RULES, self.clock, self)
            trunk = Trunk(provider, key_gate, Bulkhead(self._settings.calls_max), Health(self.clock))
            self._trunks[provider] = trunk
        return trunk

    def own_trunk(self, provider: str, owner: UUID) -> Trunk:
        """Of a tenant's own key. The places are the provider's: its calls are there as well."""
        trunk = self._own.get((owner, provider))
        if trunk is None:
            key_gate = Gate(f"{provider} of {owner}", KEY_RULES, self.clock, self)
            trunk = Trunk(provider, key_gate, self.trunk(provider).bulkhead, Health(self.clock), is_own=True)
            self._own[owner, provider] = trunk
        return trunk

    def keep_own(self, wanted: Collection[tuple[UUID, str]]) -> None:
        """Forget what is known of other tenants' own keys."""
        self._own = {key: trunk for key, trunk in self._own.items() if key in wanted}

    def line(self, provider: str, model: str, owner: UUID | None = None) -> Line:
        """`owner`: the tenant whose own key it is."""
        trunk = self.own_trunk(provider, owner) if owner else self.trunk(provider)
        line = trunk.lines.get(model)
        if line is None:
            if len(trunk.lines) >= MODELS_MAX:
                trunk.lines = {name: each for name, each in trunk.lines.items() if not each.gate.is_closed}
            name = f"{provider}/{model} of {owner}" if owner else f"{provider}/{model}"
            gate = Gate(name, self._settings.rules, self.clock, self)
            line = trunk.lines[model] = Line(trunk, gate, self._settings, self.clock)
        return line

    def gate(self, name: str) -> Gate:
        """The breaker of this name. Raises RESOURCE_NOT_FOUND."""
        provider, _, model = name.partition("/")
        trunk = self._trunks.get(provider)
        line = trunk.lines.get(model) if trunk else None
        gate = line.gate if line else trunk.key_gate if trunk and not model else None
        if gate is None:
            raise not_found("breaker", name)
        return gate

    def hold_open(self, name: str) -> Gate:
        """Keep calls away, here and on every other replica. Raises RESOURCE_NOT_FOUND."""
        gate = self.gate(name)
        self._silently(gate.hold_open)
        self.tell(News.HELD, name)
        return gate

    def reset(self, name: str) -> Gate:
        """Let calls through again, here and on every other replica. Raises RESOURCE_NOT_FOUND."""
        gate = self.gate(name)
        gate.reset()
        self.tell(News.RESET, name)
        return gate

    def heard(self, news: News, name: str) -> None:
        """Another replica has something to say of a breaker, which may be unknown here as long as nobody has asked."""
        provider, _, model = name.partition("/")
        if news is News.HELD and model:
            self.line(provider, model)
        try:
            gate = self.gate(name)
        except TrunklineError:
            return
        match news:
            case News.OPENED:
                gate.suspect()
            case News.HELD:
                self._silently(gate.hold_open)
            case News.RESET:
                gate.reset()

    def _silently(self, change: Callable[[], None]) -> None:
        self._quiet = True
        try:
            change()
        finally:
            self._quiet = False

    def state_change(
        self, cb: CircuitBreaker, _old_state: CircuitBreakerState | None, new_state: CircuitBreakerState
    ) -> None:
        """Told by pybreaker."""
        _log.warning("breaker.%s name=%s", new_state.name, cb.name)
        for watcher in self._watchers:
            watcher()
        if new_state.name == STATE_OPEN and not self._quiet and cb.name:
            self.tell(News.OPENED, cb.name)

    @contextmanager
    def watched(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever a breaker changes its state."""
        news = asyncio.Event()
        self._watchers.add(news.set)
        try:
            yield news
        finally:
            self._watchers.discard(news.set)
