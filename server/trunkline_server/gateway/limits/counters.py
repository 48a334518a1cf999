"""What a place that counts can do. There is one in this process, and one that replicas share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from trunkline_server.core.limiting import Bound, Look


class Ask(NamedTuple):
    """So many units of a bound. Giving back has a negative number, and says when they were taken."""

    bound: Bound
    units: int
    taken_us: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """The answer about all bounds at once. `refused` is the place of the one to wait for longest; None: all agreed."""

    now_us: int
    refused: int | None
    looks: Sequence[Look]
    by: Counters
    asks: Sequence[Ask] = ()
    """What was taken, as it is to be given back."""


class Counters(Protocol):
    """Takes from all bounds or from none. A lease is who is inside a bound that counts what runs at once."""

    @property
    def degraded(self) -> bool:
        """Counts for this replica alone, where replicas should count together."""

    async def take(self, asks: Sequence[Ask], lease: str, lease_us: int) -> Told:
        """Take the units of every ask, if all of them get through."""

    async def give(self, asks: Sequence[Ask], lease: str) -> None:
        """Correct what was taken, up or down, and end the lease in bounds that know it."""

    async def look(self, bounds: Sequence[Bound]) -> Told:
        """What is left."""
