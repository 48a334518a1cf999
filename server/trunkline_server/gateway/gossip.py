"""Tells the other replicas of breakers: that one opened here is a hint to them, an operator's hand is meant for all.

Never required: without a database each replica judges for itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Final

from trunkline_server.core.errors import TrunklineError
from trunkline_server.gateway.lines import Lines, News
from trunkline_server.store.database import Database

_log = logging.getLogger(__name__)

CHANNEL: Final = "trunkline_breakers"
UNTOLD_MAX: Final = 256


class Gossip:
    """A word is `replica news name`."""

    def __init__(self, lines: Lines, database: Database, replica_id: str) -> None:
        self._lines = lines
        self._database = database
        self._replica_id = replica_id
        self._untold: deque[tuple[News, str]] = deque(maxlen=UNTOLD_MAX)
        self._more = asyncio.Event()

    async def follow(self) -> None:
        """Hear of the others, and note what happens here."""
        await self._database.listen(CHANNEL, self._heard)
        self._lines.tell = self._note

    async def keep(self) -> None:
        """Tell the others what was noted, until cancelled."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._untold:
                news, name = self._untold.popleft()
                await self._tell(f"{self._replica_id} {news.value} {name}")

    async def _tell(self, word: str) -> None:
        try:
            await self._database.notify(CHANNEL, word)
        except TrunklineError as error:
            _log.warning("breakers.untold reason=%s", error.reason.value)

    def _note(self, news: News, name: str) -> None:
        self._untold.append((news, name))
        self._more.set()

    def _heard(self, word: str | None) -> None:
        teller, _, rest = (word or "").partition(" ")
        news, _, name = rest.partition(" ")
        if teller != self._replica_id and news in set(News):
            self._lines.heard(News(news), name)
