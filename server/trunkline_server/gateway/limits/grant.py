"""What one call took of its limits, and what becomes of that: corrected by the bill, or given back."""

from __future__ import annotations

from dataclasses import dataclass, field

from trunkline_server.core.rate_limit import CONCURRENCY, TOKENS, RateLimit
from trunkline_server.gateway.limits.counters import Ask, Counters


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken of one limit."""

    limit: RateLimit
    ask: Ask
    by: Counters

    def corrected(self, tokens: int) -> Ask | None:
        """What is left to say at the end of a call that used so many tokens."""
        if self.limit.unit == CONCURRENCY:
            return self.ask._replace(units=-1)
        if self.limit.unit == TOKENS and tokens != self.ask.units:
            return self.ask._replace(units=tokens - self.ask.units)
        return None

    def undone(self) -> Ask:
        """As if the call had never come."""
        return self.ask._replace(units=-self.ask.units)


@dataclass(slots=True)
class Grant:
    """By the key of the counter."""

    lease: str
    taken: dict[str, Taken] = field(default_factory=dict)

    def lacks(self, key: str) -> bool:
        """Whether nothing was taken there yet."""
        return key not in self.taken

    def leave(self, keys: set[str]) -> list[Taken]:
        """Take out what the call does not come under any more; calls that began there stay counted."""
        left = [key for key in self.taken if key not in keys]
        return [self.taken.pop(key) for key in left]
