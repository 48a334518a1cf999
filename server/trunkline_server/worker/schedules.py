"""Chores that one replica does for all: whoever has the lock, when it is due. What was missed is done once."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from trunkline_server.store.database import Database, Held
from trunkline_server.store.news import News, heard
from trunkline_server.store.schedules import CHANNEL, Schedules
from trunkline_server.worker.chores import Chore, reason_of

_log = logging.getLogger(__name__)


class Runner:
    """Looks every `look_s`, and at once when somebody is in a hurry."""

    def __init__(self, database: Database, chores: Sequence[Chore], look_s: float = 5.0) -> None:
        self._database = database
        self._chores = chores
        self._look_s = look_s
        self._schedules = Schedules(database)
        self._news = News()

    async def run(self) -> None:
        """Until cancelled. The lock lives on a connection of its own: it goes when the process does."""
        held = await self._database.dedicated()
        known = False
        with self._news.watched() as news:
            while True:
                news.clear()
                known = known or await self._known()
                for chore in self._chores if known else ():
                    await self._turn(held, chore)
                await heard(news, self._look_s)

    async def _known(self) -> bool:
        """Whether the database knows them all. Where it is away, it has to be told later."""
        try:
            for chore in self._chores:
                await self._schedules.know(chore.name, chore.every_s, chore.first_within_s or chore.every_s)
            await self._news.follow(self._database, CHANNEL)
        except Exception as error:  # noqa: BLE001 - nobody else begins it again
            _log.warning("schedule.unknown reason=%s", reason_of(error))
            return False
        return True

    async def _turn(self, held: Held, chore: Chore) -> None:
        try:
            if not await self._schedules.lock(held, chore.name):
                return
            try:
                if await self._schedules.begin(chore.name):
                    await self._schedules.end(chore.name, await _failure(chore))
            finally:
                await self._schedules.unlock(held, chore.name)
        except Exception as error:  # noqa: BLE001 - the others have their turn, and this one has it again
            _log.warning("schedule.no_turn name=%s reason=%s", chore.name, reason_of(error))


async def _failure(chore: Chore) -> str:
    """Do it; why it failed, or nothing."""
    try:
        await chore.work()
    except Exception as error:  # noqa: BLE001 - what fails today is done again at its next time
        _log.warning("chore.failed name=%s reason=%s", chore.name, reason_of(error))
        return reason_of(error)
    return ""
