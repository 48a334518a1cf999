"""How fast one model at a provider may be asked, by what the provider itself has said last.

Nothing is ever refused because of it: a provider that tells nonsense costs a short wait or another candidate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from trunkline_server.core.limit_headers import Counted, LimitHeaders, ProviderLimit

SHORT_S: Final = 0.25
"""A wait that is not worth going elsewhere for."""


class Pace:
    """Headers are kept as they came, and read only when somebody asks."""

    __slots__ = ("_clock", "_headers", "_limits", "_spelling", "_told_s", "begun")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._headers: Mapping[str, str] = {}
        self._spelling: LimitHeaders | None = None
        self._limits: Sequence[ProviderLimit] | None = None
        self._told_s = 0.0
        self.begun = 0
        """Calls that began since it last said something."""

    def hear(self, spelling: LimitHeaders, headers: Mapping[str, str]) -> None:
        """The headers of an answer, or of a refusal."""
        self._headers, self._spelling, self._limits = headers, spelling, None
        self._told_s = self._clock()
        self.begun = 0

    def limits(self) -> Sequence[ProviderLimit]:
        """What was said last, without what is full again."""
        if self._spelling is None:
            return ()
        if self._limits is None:
            self._limits = self._spelling.read(self._headers, self._told_s)
        now_s = self._clock()
        return [limit for limit in self._limits if limit.remaining < limit.amount and limit.full_time_s > now_s]

    def pause_s(self, input_tokens: int = 1) -> float:
        """How long until it would take a question of so many tokens; 0 where it would at once, or nobody knows."""
        if self._spelling is None:
            return 0.0
        needed = {Counted.CALLS: self.begun + 1, Counted.INPUT: input_tokens, Counted.OUTPUT: 1}
        if not self._spelling.may_lack(self._headers, needed):
            return 0.0
        now_s = self._clock()
        return max((0.0, *(self._due_s(limit, needed[limit.counted]) - now_s for limit in self.limits())))

    def _due_s(self, limit: ProviderLimit, needed: int) -> float:
        """When enough is there: all providers refill evenly, and say when they are full."""
        lacking = min(needed, limit.amount) - limit.remaining
        span_s = limit.full_time_s - self._told_s
        return self._told_s + span_s * lacking / (limit.amount - limit.remaining) if lacking > 0 else 0.0
