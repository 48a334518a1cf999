"""Webhooks of providers: each is noted once, and wakes the job that it is about."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from trunkline_server.core.inbound_webhook import Told
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)

CHANNEL: Final = "trunkline_operations"
"""Says of which job there is news at the provider: its id in hex."""


class InboundWebhooks:
    """What was taken is remembered for longer than a signature is good for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, provider: str, told: Told) -> None:
        """A second time it does nothing."""
        jobs = await self._database.fetch(_SQL.take, provider, told.webhook_id, told.type, told.operation_id)
        for row in jobs:
            await self._database.notify(CHANNEL, row[0].hex)

    async def purge(self, older_than: timedelta) -> None:
        """Forget those of long ago."""
        await self._database.execute(_SQL.purge, older_than)
