"""Rate limits as they were set, of all tenants: few, and read as a whole on every change."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from trunkline_server.core.errors import not_found
from trunkline_server.core.limiting import Algorithm
from trunkline_server.core.rate_limit import RateLimit, Selector
from trunkline_server.store import queries
from trunkline_server.store.database import Database

CHANNEL = "trunkline_limits"

_SQL = queries.load(__file__)


class RateLimits:
    """The table of rate limits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[RateLimit]:
        """Of every tenant, by tenant and name."""
        return [_rate_limit(row) for row in await self._database.fetch(_SQL.all)]

    async def set(self, limit: RateLimit, set_by: str) -> None:
        """Make it, or change the one of that name."""
        kind = (limit.unit, limit.amount, limit.window_us, limit.algorithm.value, limit.burst)
        await self._database.execute(_SQL.set, limit.tenant_id, limit.name, *limit.selector, *kind, set_by)

    async def delete(self, tenant_id: UUID, name: str) -> None:
        """Raises RESOURCE_NOT_FOUND."""
        if await self._database.fetchval(_SQL.delete, tenant_id, name) is None:
            raise not_found("rate_limit", name)


def _rate_limit(row: asyncpg.Record) -> RateLimit:
    tenant_id, name, *selector, unit, amount, window_us, algorithm, burst = row
    return RateLimit(tenant_id, name, Selector(*selector), unit, amount, window_us, Algorithm(algorithm), burst)
