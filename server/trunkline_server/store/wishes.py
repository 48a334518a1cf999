"""Who wants events of calls. They are written only where somebody does, because every call would write some."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from trunkline_server.core.event import OF_CALLS
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)

RENEW_S: Final = 3600.0


class Wishes:
    """What is wished for is written for `keep` from then on, which is how long a reader may stay away."""

    def __init__(self, database: Database, keep: timedelta) -> None:
        self._database = database
        self._keep = keep

    def of(self, tenant_id: UUID, types: Sequence[str] = ()) -> Wish:
        """A reader's, of these types or of all."""
        wanted = sorted(OF_CALLS.intersection(types)) if types else sorted(OF_CALLS)
        return Wish(self, tenant_id, wanted)

    async def note(self, tenant_id: UUID, types: Sequence[str]) -> None:
        """From now on."""
        await self._database.execute(_SQL.note, tenant_id, types, self._keep)

    async def purge(self) -> None:
        """Forget those whose time is over."""
        await self._database.execute(_SQL.purge)


class Wish:
    """One reader's, to be renewed while it reads."""

    def __init__(self, wishes: Wishes, tenant_id: UUID, types: Sequence[str]) -> None:
        self._wishes = wishes
        self._tenant_id = tenant_id
        self._types = types
        self._due = 0.0

    async def renew(self) -> None:
        """Does something once an hour."""
        now = asyncio.get_running_loop().time()
        if self._types and now >= self._due:
            await self._wishes.note(self._tenant_id, self._types)
            self._due = now + RENEW_S
