"""What an operator says about limits: which calls count, and how much of what they may use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from trunkline_server.core.limiting import Algorithm, Bound

EACH: Final = "*"
REQUESTS: Final = "requests"
TOKENS: Final = "tokens"
CONCURRENCY: Final = "concurrency"


class Subject(NamedTuple):
    """Who calls what. An empty field is not told, or not there."""

    user_id: str = ""
    key_id: str = ""
    provider: str = ""
    model: str = ""
    team: str = ""


class Selector(Subject):
    """Which calls count: by field, empty for all together, `*` for each value apart, or one value."""

    __slots__ = ()

    def of(self, subject: Subject) -> Subject | None:
        """The counter that a call comes under; None where it is not chosen."""
        if any(chosen and (not told or chosen not in (EACH, told)) for chosen, told in zip(self, subject, strict=True)):
            return None
        return Subject._make(told if chosen else "" for chosen, told in zip(self, subject, strict=True))


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A limit of one tenant. `window_us` is 0 where it counts what runs at once."""

    tenant_id: UUID
    name: str
    selector: Selector
    unit: str
    amount: int
    window_us: int
    algorithm: Algorithm
    burst: int

    def bound(self, subject: Subject) -> Bound | None:
        """Its counter for a call; None where it does not count it. A limit that is changed in kind counts anew."""
        counter = self.selector.of(subject)
        if counter is None:
            return None
        kind = (self.name, self.unit, self.algorithm.value, str(self.window_us))
        told = hashlib.blake2b("\0".join((*kind, *counter)).encode(), digest_size=16).hexdigest()
        return Bound(f"{{{self.tenant_id.hex}}}:{told}", self.algorithm, self.amount, self.window_us, self.burst)
