"""Stopping a call from anywhere: here if it runs here, else by a word to every replica."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from trunkline_server.core import ids
from trunkline_server.core.errors import not_found
from trunkline_server.gateway.live import LiveCalls
from trunkline_server.store.database import Database
from trunkline_server.store.ledger import Ledger

CHANNEL: Final = "trunkline_stops"


class Stops:
    """A call that holds credits and does not run here runs on another replica, or died with one."""

    def __init__(self, live: LiveCalls, ledger: Ledger, database: Database) -> None:
        self._live = live
        self._ledger = ledger
        self._database = database

    async def follow(self) -> None:
        """Hear of calls that others want stopped."""
        await self._database.listen(CHANNEL, self._heard)

    async def stop(self, tenant_id: UUID, completion_id: UUID) -> None:
        """Raises RESOURCE_NOT_FOUND when no such call of the tenant runs anywhere."""
        if self._live.runs(tenant_id, completion_id):
            self._live.stop(completion_id)
            return
        hold = await self._ledger.get_hold(tenant_id, completion_id)
        if hold.state != "held" or hold.request_id:  # a name of its own has only a caller's reservation
            raise not_found("completion", ids.spell("cmpl", completion_id))
        await self._database.notify(CHANNEL, completion_id.hex)

    def _heard(self, payload: str | None) -> None:
        if payload is not None:
            self._live.stop(UUID(hex=payload))
