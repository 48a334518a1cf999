"""Listeners of other distributions: entry points of one group, each an `async def listener(tenant_id, event)`.

One process at a time reads for a listener, in order, and moves its checkpoint on behind what it has taken: every event
at least once, also after a crash. One that raises gets the same event again after a pause.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Final, TypeAlias
from uuid import UUID

from trunkline.v1 import events_pb2
from trunkline_server.core.ids import new_uuid
from trunkline_server.core.plugins import brought
from trunkline_server.store.news import News, heard
from trunkline_server.store.outbox import EVERYONE, Outbox, Recorded
from trunkline_server.store.wishes import Wishes
from trunkline_server.worker.chores import reason_of

_log = logging.getLogger(__name__)

GROUP: Final = "trunkline.listeners"
LEASE: Final = timedelta(seconds=30)
LOOK_S: Final = 1.0
PAUSE_S: Final = 1.0
READ_MAX: Final = 100

Listener: TypeAlias = Callable[[UUID, events_pb2.Event], Awaitable[None]]


def installed() -> Iterator[tuple[str, Listener]]:
    """What the entry points give; one that does not load is left out, and said."""
    for entry in brought(GROUP):
        try:
            yield entry.name, entry.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - other people's code may raise anything
            _log.warning("listener.broken name=%s type=%s", entry.name, type(error).__name__)


class Follower:
    """Reads every tenant's events for one listener, under its name."""

    def __init__(self, name: str, listener: Listener, outbox: Outbox, wishes: Wishes, news: News) -> None:
        self._name = name
        self._wish = wishes.of(EVERYONE)
        self._listener = listener
        self._outbox = outbox
        self._news = news
        self._owner = new_uuid()

    async def follow(self) -> None:
        """Until cancelled."""
        with self._news.watched() as news:
            while True:
                news.clear()
                try:
                    took = await self._took()
                except Exception as error:  # noqa: BLE001 - nobody else begins it again
                    _log.warning("listener.waits name=%s reason=%s", self._name, reason_of(error))
                    took = False
                if not took:
                    await heard(news, LOOK_S)

    async def _took(self) -> bool:
        """Whether there was something, and this process was the one to take it."""
        await self._wish.renew()
        place = await self._outbox.take(self._name, self._owner, LEASE)
        if place is None:
            return False
        batch = await self._outbox.after_all(place, READ_MAX)
        for event in batch.events:
            if not await self._told(event):
                await asyncio.sleep(PAUSE_S)
                return True
            if not await self._outbox.advance(self._name, self._owner, event.position, LEASE):
                return False
        return bool(batch.events)

    async def _told(self, event: Recorded) -> bool:
        try:
            async with asyncio.timeout(LEASE.total_seconds() / 2):
                await self._listener(event.tenant_id, event.message())
        except Exception as error:  # noqa: BLE001 - other people's code may raise anything
            _log.warning("listener.failed name=%s reason=%s", self._name, reason_of(error))
            return False
        return True
