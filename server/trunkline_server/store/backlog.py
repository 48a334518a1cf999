"""How much work waits in the database."""

from __future__ import annotations

from typing import Final

from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)

COUNTED_MAX: Final = 100_000
QUEUES: Final = ("jobs_queued", "jobs_delayed", "jobs_running", "webhooks_waiting")


async def backlog(database: Database) -> dict[str, int]:
    """By queue. Raises STORE_UNAVAILABLE."""
    row = await database.fetchrow(_SQL.count, COUNTED_MAX)
    return dict(zip(QUEUES, row or (0,) * len(QUEUES), strict=True))
