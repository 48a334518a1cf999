"""What a stream has said, the last of it, and everybody who listens.

append ──▶ kept ──(all who listen have heard it, and there is no more room)──▶ forgotten
  └──(somebody who listens has not heard what would be forgotten)──▶ waits for them
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from itertools import islice

from trunkline.v1 import chat_pb2
from trunkline_server.core.errors import Reason, TrunklineError


@dataclass(slots=True, eq=False)
class _Listener:
    """`heard` is the number of the last event that they took."""

    heard: int


class Recording:
    """Events come in the order of their numbers, without a gap; `last` is the newest, `first` the oldest that is kept.

    Once `ended` it ends for all who listen, with `error` where there is one.
    """

    def __init__(self, bytes_max: int) -> None:
        self.first = 1
        self.last = 0
        self.size_bytes = 0
        self.ended = False
        self.error: BaseException | None = None
        self._bytes_max = bytes_max
        self._events: deque[tuple[chat_pb2.ChatEvent, int]] = deque()
        self._listeners: set[_Listener] = set()
        self._news, self._heard = asyncio.Event(), asyncio.Event()

    @property
    def is_heard(self) -> bool:
        """Somebody listens here."""
        return bool(self._listeners)

    def put(self, event: chat_pb2.ChatEvent) -> None:
        """The next event, whoever has heard the others."""
        size = event.ByteSize()
        self._events.append((event, size))
        self.size_bytes += size
        self.last = event.sequence
        _tell(self._news)

    async def append(self, event: chat_pb2.ChatEvent) -> None:
        """The next event; waits while one who listens is too far behind."""
        self.put(event)
        while not self._fits():
            await self._heard.wait()

    def end(self, error: BaseException | None = None) -> None:
        self.ended, self.error = True, error
        _tell(self._news)

    def since(self, heard: int) -> list[chat_pb2.ChatEvent]:
        """What is kept behind that event."""
        return [event for event, _ in islice(self._events, max(heard + 1 - self.first, 0), None)]

    async def news(self) -> None:
        """Returns when something was said, or it has ended."""
        await self._news.wait()

    async def listen(self, heard: int) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        """All behind that event, to the end. Raises RESUME_EXPIRED, and what it ended with."""
        listener = _Listener(heard)
        self._listeners.add(listener)
        try:
            while True:
                require_kept(listener.heard, self.first)
                for event in self.since(listener.heard):
                    listener.heard = event.sequence
                    _tell(self._heard)
                    yield event
                if self.last > listener.heard:
                    continue
                if self.ended:
                    break
                await self.news()
        finally:
            self._listeners.discard(listener)
            _tell(self._heard)
        if isinstance(self.error, TrunklineError):
            raise replace(self.error)
        if self.error is not None:
            raise self.error

    def _fits(self) -> bool:
        """Forgets what there is no room for; False where somebody has still to hear it."""
        behind = min((listener.heard for listener in self._listeners), default=self.last)
        while self.size_bytes > self._bytes_max and self.first <= behind:
            _, size = self._events.popleft()
            self.size_bytes -= size
            self.first += 1
        return self.size_bytes <= self._bytes_max


def require_kept(heard: int, first: int) -> None:
    """Raises RESUME_EXPIRED where what comes next is no longer there."""
    if heard + 1 < first:
        raise TrunklineError(Reason.RESUME_EXPIRED, "what was said behind this event is no longer kept")


def _tell(event: asyncio.Event) -> None:
    """Wakes who waits now."""
    event.set()
    event.clear()
