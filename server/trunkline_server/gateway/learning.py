"""Keeps the catalogue at what the tables say: read at the start, again whenever they change, and swapped as a whole."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from trunkline_server.core.errors import TrunklineError
from trunkline_server.core.learned import Learned
from trunkline_server.gateway.routes import Routes
from trunkline_server.store.aliases import Aliases
from trunkline_server.store.database import Database
from trunkline_server.store.offers import CHANNEL, Offers
from trunkline_server.store.prices import Prices

_log = logging.getLogger(__name__)


class Learning:
    """One reading at a time, so that an older one never comes after a newer one."""

    def __init__(self, routes: Routes, database: Database) -> None:
        self.offers: Final = Offers(database)
        self.aliases: Final = Aliases(database)
        self.prices: Final = Prices(database)
        self._routes = routes
        self._database = database
        self._base = routes.catalogue
        self._reading = asyncio.Lock()
        self._changed = asyncio.Event()

    async def follow(self) -> None:
        """Hear of changes, and know what is there already."""
        await self._database.listen(CHANNEL, lambda _: self._changed.set())
        await self.refresh()

    async def keep(self) -> None:
        """Read again after every change, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.refresh()

    async def refresh(self) -> None:
        """Use what the tables say now. What cannot be read or used leaves the catalogue as it was, and is logged."""
        async with self._reading:
            try:
                learned = Learned(await self.offers.all(), await self.prices.all(), await self.aliases.all())
                self._routes.use(self._base.with_learned(learned))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with a row, the old catalogue serves on
                _log.warning("catalogue.kept reason=%s", _reason(error))


def _reason(error: Exception) -> str:
    return error.reason.value if isinstance(error, TrunklineError) else type(error).__name__
