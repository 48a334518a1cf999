"""A limit on the calls that are at one provider, so that a slow one does not take the room of all."""

from __future__ import annotations

import asyncio
from collections import deque


class Bulkhead:
    """So many places; whoever took one must `leave`."""

    __slots__ = ("_places", "_waiting", "taken")

    def __init__(self, places: int) -> None:
        self._places = places
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self.taken = 0

    def take(self) -> bool:
        """A place at once, or none."""
        if self.taken >= self._places:
            return False
        self.taken += 1
        return True

    async def wait(self, limit_s: float) -> bool:
        """A place as soon as one is free, in order of arrival; False when none was in time."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        self._waiting.append(turn)
        timer = loop.call_later(limit_s, _tell, turn, False)  # noqa: FBT003 - the answer itself
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.done() and turn.result():
                self.leave()
            raise
        finally:
            timer.cancel()

    def leave(self) -> None:
        """The place goes to whoever waits longest."""
        while self._waiting:
            if _tell(self._waiting.popleft(), True):  # noqa: FBT003
                return
        self.taken -= 1


def _tell(turn: asyncio.Future[bool], answer: bool) -> bool:  # noqa: FBT001
    """False where nobody waits for the answer any more."""
    if turn.done():
        return False
    turn.set_result(answer)
    return True
