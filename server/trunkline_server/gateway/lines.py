"""All lines to providers, and an operator's or a tenant's hand on their breakers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final
from uuid import UUID

from pybreaker import STATE_OPEN, CircuitBreaker, CircuitBreakerListener, CircuitBreakerState

from trunkline_server.core.errors import TrunklineError, not_found
from trunkline_server.gateway import breaker_names
from trunkline_server.gateway.breakers import BreakerRules, Clock, Gate
from trunkline_server.gateway.bulkhead import Bulkhead
from trunkline_server.gateway.health import Health
from trunkline_server.gateway.line import Line, LineSettings, Trunk

_log = logging.getLogger(__name__)

MODELS_MAX: Final = 4096
"""Models of a provider may be named by callers, so what is remembered about them is bounded."""
KEY_RULES: Final = BreakerRules(down_in_row_max=3, calls_min=2**62, open_s=300.0)
"""A refused key: one 403 may be about a single model, three in a row are about the key."""


class News(StrEnum):
    """What other replicas may want to know of a breaker: it opened by itself, or an operator's hand was on it."""

    OPENED = "opened"
    HELD = "held"
    RESET = "reset"


class Lines(CircuitBreakerListener):
    """All lines of this process, made when they are first asked for. `tell` takes what others should hear,
    `turned` every state that a breaker comes into."""

    def __init__(self, settings: LineSettings, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self._settings = settings
        self._trunks: dict[str, Trunk] = {}
        self._own: dict[tuple[UUID, str], Trunk] = {}
        self._watchers: set[Callable[[], None]] = set()
        self._quiet = False
        self.tell: Callable[[News, str], None] = lambda _news, _name: None
        self.turned: Callable[[str, str], None] = lambda _name, _state: None

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
            key_gate = Gate(breaker_names.spell(provider, owner), KEY_RULES, self.clock, self)
            trunk = Trunk(provider, key_gate, self.trunk(provider).bulkhead, Health(self.clock), is_own=True)
            self._own[owner, provider] = trunk
        return trunk

    def not_closed(self) -> list[Gate]:
        """The breakers that keep calls away from providers; those of tenants' own keys are nobody else's business."""
        return [gate for trunk in self._trunks.values() for gate in trunk.gates() if not gate.is_closed]

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
            gate = Gate(breaker_names.spell(f"{provider}/{model}", owner), self._settings.rules, self.clock, self)
            line = trunk.lines[model] = Line(trunk, gate, self._settings, self.clock)
        return line

    def gate(self, name: str, owner: UUID | None = None) -> Gate:
        """The breaker of this name. Raises RESOURCE_NOT_FOUND."""
        provider, _, model = name.partition("/")
        trunk = self._own.get((owner, provider)) if owner else self._trunks.get(provider)
        line = trunk.lines.get(model) if trunk else None
        gate = line.gate if line else trunk.key_gate if trunk and not model else None
        if gate is None:
            raise not_found("breaker", name)
        return gate

    def hold_open(self, name: str, owner: UUID | None = None) -> Gate:
        """Keep calls away, here and on every other replica. Raises RESOURCE_NOT_FOUND."""
        gate = self.gate(name, owner)
        self._silently(gate.hold_open)
        self.tell(News.HELD, gate.name)
        return gate

    def reset(self, name: str, owner: UUID | None = None) -> Gate:
        """Let calls through again, here and on every other replica. Raises RESOURCE_NOT_FOUND."""
        gate = self.gate(name, owner)
        gate.reset()
        self.tell(News.RESET, gate.name)
        return gate

    def heard(self, news: News, spelled: str) -> None:
        """Another replica has something to say of a breaker, which may be unknown here as long as nobody has asked."""
        name, owner = breaker_names.read(spelled)
        provider, _, model = name.partition("/")
        if news is News.HELD and model:
            self.line(provider, model, owner)
        try:
            gate = self.gate(name, owner)
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
        self.turned(cb.name or "", new_state.name)
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
