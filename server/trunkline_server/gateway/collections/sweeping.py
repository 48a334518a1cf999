"""Vectors whose document is gone: what a store kept because it did not answer when it was told, or what broke off
half-way. Nothing finds them, but they take the places of others in a search.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from trunkline_server.core import ids
from trunkline_server.core.errors import TrunklineError
from trunkline_server.gateway.collections.shelves import Shelves
from trunkline_server.store.collections import Collection

EVERY: Final = timedelta(days=1)
PAGE: Final = 1000
YOUNG_S: Final = 3600.0
"""Of a vector: its document may still be on its way."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sweeping:
    """Looks through one collection after the other."""

    shelves: Shelves
    young_s: float = YOUNG_S

    async def next(self) -> None:
        """The one that was not looked through for longest, where that is long ago."""
        found = await self.shelves.collections.due(EVERY)
        if found is None or found.store not in self.shelves.stores:
            return
        try:
            await self.through(found)
        except TrunklineError as error:
            collection_id = ids.spell("coll", found.collection_id)
            _log.warning("collection.unswept collection=%s reason=%s", collection_id, error.reason.value)

    async def through(self, found: Collection) -> int:
        """How many were removed."""
        store, count, after, goes_on = self.shelves.vectors(found), 0, "", True
        while goes_on:
            page, after = await store.page(found.space, after, PAGE)
            if gone := await self._gone(found, page):
                await store.remove(found.space, gone)
            count += len(gone)
            goes_on = bool(after)
        return count

    async def _gone(self, found: Collection, page: Sequence[UUID]) -> list[UUID]:
        before_ms = (time.time() - self.young_s) * 1000
        old = [each for each in page if ids.made_ms(each) < before_ms]
        there = await self.shelves.documents.present(found.collection_id, old) if old else set()
        return [each for each in old if each not in there]
