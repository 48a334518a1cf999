"""Announcements between processes: telling, where many in a row become one, and waking whoever waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from trunkline_server.core.errors import TrunklineError
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)


class Announcer:
    """Says on a channel that there is news. What is told while a word is on its way goes out with the next one.

    Nothing is promised: who listens looks by itself from time to time.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: set[tuple[str, str]] = set()
        self._speaker: asyncio.Task[None] | None = None

    def tell(self, channel: str, payload: str = "") -> None:
        """At once, or with the next word."""
        self._waiting.add((channel, payload))
        if self._speaker is None:
            self._speaker = asyncio.create_task(self._speak(), name="store.announcer")

    async def _speak(self) -> None:
        try:
            while self._waiting:
                words, self._waiting = list(self._waiting), set()
                channels, payloads = zip(*words, strict=True)
                with suppress(TrunklineError):
                    await self._database.execute(_SQL.announce, list(channels), list(payloads))
        finally:
            self._speaker = None


class News:
    """Wakes those who wait for a channel."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()

    async def follow(self, database: Database, channel: str) -> None:
        """Start to hear."""
        await database.listen(channel, self.heard)

    def heard(self, _payload: str | None = None) -> None:
        """There is news."""
        for event in self._waiting:
            event.set()

    @contextmanager
    def watched(self) -> Iterator[asyncio.Event]:
        """Set on every word; clear it before you look."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            yield event
        finally:
            self._waiting.discard(event)


async def heard(event: asyncio.Event, within_s: float) -> None:
    """Waits for a word, but no longer than that."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()
