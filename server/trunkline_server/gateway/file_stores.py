"""Vector stores that calls have made of their files: made when first needed, found again later, deleted with a file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.gateway.abroad import Abroad, way_back
from trunkline_server.gateway.copies import Copies
from trunkline_server.store.files import FileRow
from trunkline_server.store.search_stores import SearchStore, SearchStores, Shelf

_log = logging.getLogger(__name__)

NAME: Final = "files of a question"
TRUSTED: Final = timedelta(hours=1)
UNUSED: Final = timedelta(days=7)
IDLE_DAYS: Final = 10
"""When its provider forgets it by itself: later than we do, for those of which nothing was written down."""
PAUSE_S: Final = 0.25
PAUSE_S_MAX: Final = 4.0
SWEEP_STORES: Final = 64


@dataclass(frozen=True)
class FileStores:
    """Remembers which store a provider has of which files."""

    table: SearchStores
    copies: Copies

    async def at(self, there: Abroad, tenant_id: UUID, files: Sequence[FileRow]) -> str:
        """A store of these files, all of which can be searched. Raises MEDIA_INVALID, and what a failure means."""
        shelf = _shelf(there, tenant_id, files)
        store = await self.table.use(tenant_id, shelf, TRUSTED)
        if store is None or not (store.is_ready or await self._is_read(there, shelf, store)):
            store = await self._made(there, shelf, files)
            if not await self._is_read(there, shelf, store):
                raise invalid("input.file_ids", "are not what the provider can search in", Reason.MEDIA_INVALID)
        return store.provider_store_id

    async def known(self, there: Abroad, tenant_id: UUID, files: Sequence[FileRow]) -> str | None:
        """The store of these files, where there is one already."""
        return await self.table.known(tenant_id, _shelf(there, tenant_id, files))

    async def sweep(self) -> None:
        """Delete those with a file that is gone, and those out of use; what a provider keeps is tried again later."""
        await self.table.retire(UNUSED)
        for store in await self.table.gone(SWEEP_STORES):
            try:
                there = way_back(self.copies.routes, store.provider, store.account_id)
                await there.discard(there.stores.delete(store.provider_store_id))
            except TrunklineError as error:
                _log.warning("search_store.kept provider=%s reason=%s", store.provider, error.reason.value)
            else:
                await self.table.forget(store)

    async def _made(self, there: Abroad, shelf: Shelf, files: Sequence[FileRow]) -> SearchStore:
        craft, tenant_id = there.stores, shelf.tenant_id
        copies = [await self.copies.at(there, tenant_id, file.name, craft.purpose) for file in files]
        asked = craft.create(NAME, [copy.provider_file_id for copy in copies], idle_days=IDLE_DAYS)
        made = craft.created(await there.ask(asked))
        kept = await self.table.keep(tenant_id, shelf, made)
        if kept.provider_store_id != made:  # somebody else was faster
            await there.discard(craft.delete(made))
        return kept

    async def _is_read(self, there: Abroad, shelf: Shelf, store: SearchStore) -> bool:
        """Waits until the provider has read all of it, as long as the call may take. False: it never will have."""
        pause_s, count = PAUSE_S, len(shelf.file_ids)
        while (state := await self._state(there, store, count)) is None:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)
        await (self.table.ready if state else self.table.drop)(shelf.tenant_id, store)
        return state

    async def _state(self, there: Abroad, store: SearchStore, file_count: int) -> bool | None:
        shown = await there.look(there.stores.show(store.provider_store_id))
        return False if shown is None else there.stores.is_read(shown, file_count)


def _shelf(there: Abroad, tenant_id: UUID, files: Sequence[FileRow]) -> Shelf:
    return Shelf(tenant_id, there.upstream.name, there.account_id, [file.id for file in files])
