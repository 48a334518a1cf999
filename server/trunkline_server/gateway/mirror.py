"""What tables say, in memory: read at the start, and again whenever their channel tells of a change."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import ClassVar

from trunkline_server.core.errors import TrunklineError
from trunkline_server.store.database import Database

_log = logging.getLogger(__name__)


class Mirror(ABC):
    """One reading at a time, so that an older one never comes after a newer one. What cannot be read or used leaves
    what was, and is logged under `name`.
    """

    channel: ClassVar[str]
    name: ClassVar[str]

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reading = asyncio.Lock()
        self._changed = asyncio.Event()

    async def follow(self) -> None:
        """Hear of changes, and know what is there already."""
        await self._listen()
        await self.refresh()

    async def keep(self) -> None:
        """Read again after every change, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.refresh()

    async def refresh(self) -> None:
        """Hold to what the tables say now; with the database away, to what they said last."""
        try:
            await self._read_alone()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a row, what was serves on
            _log.warning("%s.kept reason=%s", self.name, _reason(error))

    @abstractmethod
    async def _read(self) -> None:
        """Take over what the tables say."""

    def _heard(self, _payload: str | None) -> None:
        self._changed.set()

    async def _listen(self) -> None:
        await self._database.listen(self.channel, self._heard)

    async def _read_alone(self) -> None:
        async with self._reading:
            await self._read()


def _reason(error: Exception) -> str:
    return error.reason.value if isinstance(error, TrunklineError) else type(error).__name__
