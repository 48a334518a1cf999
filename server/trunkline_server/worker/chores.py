"""Small things that must be done again and again: freeing reservations whose time ran out, forgetting old answers."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from trunkline_server.core.errors import TrunklineError

_log = logging.getLogger(__name__)

PARTS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Chore:
    """`work` runs every `every_s`, a little early or late so that replicas do not march in step.

    What is done seldom is done first at a random time within `first_within_s`.
    """

    name: str
    every_s: float
    work: Callable[[], Awaitable[object]]
    first_within_s: float | None = None

    async def repeat(self) -> None:
        """Until cancelled. A chore that fails is done again at its next time."""
        pause_s = self._pause_s() if self.first_within_s is None else self.first_within_s * random.uniform(0.1, 1)
        while True:
            await asyncio.sleep(pause_s)
            pause_s = self._pause_s()
            try:
                await self.work()
            except Exception as error:  # noqa: BLE001 - a chore that stays undone locks money for ever
                _log.warning("chore.failed name=%s reason=%s", self.name, reason_of(error))

    def _pause_s(self) -> float:
        return self.every_s * random.uniform(0.9, 1.1)


def in_parts(part: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[None]]:
    """Work that says how much it did, done until nothing is left, however much has come since the last time. Others get
    their turn after so many parts."""

    async def parts() -> None:
        for _ in range(PARTS_MAX):
            if not await part():
                return

    return parts


def reason_of(error: Exception) -> str:
    """What may be logged of a failure."""
    return error.reason.value if isinstance(error, TrunklineError) else type(error).__name__
