"""Events of what has no transaction of its own, such as a breaker that opens: told at once, written a moment later.

A process that dies in that moment takes them with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Final
from uuid import UUID

from trunkline.v1 import events_pb2
from trunkline_server.core import event as events
from trunkline_server.core.errors import TrunklineError
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)
_log = logging.getLogger(__name__)

UNTOLD_MAX: Final = 4096
"""Beyond these the oldest are dropped: the database has been away for long."""
AT_ONCE: Final = 256


class Teller:
    """Writes them in the order in which they were told; what nobody wants is left out."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._untold: deque[tuple[UUID, events_pb2.Event]] = deque(maxlen=UNTOLD_MAX)
        self._more = asyncio.Event()

    @property
    def untold_count(self) -> int:
        """How many are still to be written."""
        return len(self._untold)

    def tell(self, tenant_id: UUID, event: events_pb2.Event) -> None:
        """Never waits."""
        self._untold.append((tenant_id, event))
        self._more.set()

    async def keep(self) -> None:
        """Write what is told, until cancelled."""
        while True:
            await self._more.wait()
            self._more.clear()
            await self.flush()

    async def flush(self) -> None:
        """Write what was told until now."""
        while self._untold:
            batch = [self._untold.popleft() for _ in range(min(AT_ONCE, len(self._untold)))]
            tenants = [tenant_id for tenant_id, _ in batch]
            types, bodies = [events.type_of(each) for _, each in batch], [events.body_of(each) for _, each in batch]
            try:
                await self._database.execute(_SQL.tell, tenants, types, bodies)
            except TrunklineError as error:
                _log.warning("events.untold count=%d reason=%s", len(batch), error.reason.value)
