"""Copies of files at providers: made when one is first needed there, found again later, deleted behind their file."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.gateway.abroad import Abroad, way_back
from trunkline_server.gateway.routes import Routes
from trunkline_server.store.archive import Archive
from trunkline_server.store.files import Copy

_log = logging.getLogger(__name__)

PASSED_ON_AT_ONCE: Final = 2
"""A file is held whole on its way to a provider."""
SWEEP_COPIES: Final = 64


@dataclass(frozen=True)
class Copies:
    """Remembers under which name a provider has a file."""

    archive: Archive
    routes: Routes
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PASSED_ON_AT_ONCE))

    async def at(self, there: Abroad, tenant_id: UUID, file_id: str, purpose: str) -> Copy:
        """The copy of a file at a provider. Raises RESOURCE_NOT_FOUND, MEDIA_INVALID, and what a failure means."""
        file = await self.archive.files.find(tenant_id, file_id)
        wanted = (there.upstream.name, there.account_id, purpose)
        for copy in await self.archive.files.copies(file.id):
            if (copy.provider, copy.account_id, copy.purpose) == wanted:
                return copy
        async with self.turn:
            data = await self.archive.whole(file, bytes_max=there.files.bytes_max, field="file_ids")
            request = there.files.upload(file.spec.filename, file.spec.media_type, purpose, data)
            made = there.files.uploaded(await there.ask(request))
        try:
            kept = await self.archive.files.note_copy(file.id, *wanted, made)
        except TrunklineError as error:
            if error.reason is Reason.RESOURCE_NOT_FOUND:  # the file is gone meanwhile
                await there.discard(there.files.delete(made))
            raise
        if kept.provider_file_id != made:  # somebody else was faster
            await there.discard(there.files.delete(made))
        return kept

    async def sweep(self) -> None:
        """Delete those whose file is gone; one that its provider keeps is tried again later."""
        for copy in await self.archive.files.gone_copies(SWEEP_COPIES):
            try:
                there = way_back(self.routes, copy.provider, copy.account_id)
                await there.discard(there.files.delete(copy.provider_file_id))
            except TrunklineError as error:
                _log.warning("file_copy.kept provider=%s reason=%s", copy.provider, error.reason.value)
            else:
                await self.archive.files.forget_copy(copy)
