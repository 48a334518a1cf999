"""Wakes a job that waits for its provider, when the provider says that there is something to see."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from trunkline_server.store.database import Database
from trunkline_server.store.inbound_webhooks import CHANNEL
from trunkline_server.store.news import News, heard


class Wakes:
    """The pauses of `LongWork`, which end early on a word about their job. A word that is missed costs one pause."""

    def __init__(self) -> None:
        self._news: dict[str, News] = {}

    async def follow(self, database: Database) -> None:
        """Start to hear."""
        await database.listen(CHANNEL, self._heard)

    def pause_of(self, job_id: UUID) -> Callable[[float], Awaitable[None]]:
        """Waits between two polls of this job."""

        async def pause(seconds: float) -> None:
            news = self._news.setdefault(job_id.hex, News())
            try:
                with news.watched() as event:
                    await heard(event, seconds)
            finally:
                self._news.pop(job_id.hex, None)

        return pause

    def _heard(self, job: str | None) -> None:
        """None: words may have been lost, so everybody looks."""
        for news in list(self._news.values()) if job is None else filter(None, [self._news.get(job)]):
            news.heard()
