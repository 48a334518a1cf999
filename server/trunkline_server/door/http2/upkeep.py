"""What happens to a connection because time goes by: silence, age, callers who stop half way."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from trunkline_server.door.code import Code

if TYPE_CHECKING:
    from trunkline_server.door.http2.connection import Connection

_AGE_SPREAD: Final = 0.1


class Upkeep:
    """One timer per connection, which looks at everything that may be due."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._limits = connection.limits
        self._loop = connection.loop
        self._began = self._busy_at = self._open_at = self._loop.time()
        self._age_s = self._limits.age_s * random.uniform(1 - _AGE_SPREAD, 1 + _AGE_SPREAD)
        self._asked_at: float | None = None
        self._timer = self._loop.call_later(self._limits.tick_s, self._tick)

    def close(self) -> None:
        self._timer.cancel()

    def _tick(self) -> None:
        self._timer = self._loop.call_later(self._limits.tick_s, self._tick)
        now = self._loop.time()
        self._watch_ends(now)
        if self._connection.greeted:
            self._watch_calls(now)
            self._watch_silence(now)
            self._watch_age(now)

    def _watch_ends(self, now: float) -> None:
        """Neither the greeting nor the last words may take long."""
        if self._connection.greeted and not self._connection.closing:
            self._open_at = now
        elif now - self._open_at >= self._limits.handshake_s:
            self._connection.abort()

    def _watch_calls(self, now: float) -> None:
        for exchange in self._connection.outflow.stuck(now - self._limits.stuck_s):
            exchange.give_up()
        for exchange in list(self._connection.calls.open.values()):
            if exchange.is_late(now):
                exchange.refuse(Code.DEADLINE_EXCEEDED, "the request did not come to its end in time")

    def _watch_silence(self, now: float) -> None:
        """Somebody whose network is gone is noticed by asking."""
        heard_at = self._connection.heard_at
        if self._asked_at is not None and heard_at <= self._asked_at:
            if now - self._asked_at >= self._limits.keepalive_timeout_s:
                self._connection.abort()
        elif now - heard_at >= self._limits.keepalive_s:
            self._asked_at = now
            self._connection.ask()

    def _watch_age(self, now: float) -> None:
        if self._connection.calls.open:
            self._busy_at = now
        age_s = now - self._began
        if now - self._busy_at >= self._limits.idle_s or age_s >= self._age_s:
            self._connection.leave()
        if age_s >= self._age_s + self._limits.age_grace_s:
            self._connection.cut()
