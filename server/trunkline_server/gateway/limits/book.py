"""The limits of all tenants, in memory: read at the start, again whenever they change, and swapped as a whole."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar
from uuid import UUID

from trunkline_server.core.budget import Budget
from trunkline_server.core.errors import TrunklineError
from trunkline_server.core.rate_limit import RateLimit
from trunkline_server.store.budgets import Budgets
from trunkline_server.store.database import Database
from trunkline_server.store.rate_limits import CHANNEL, RateLimits

Limit = TypeVar("Limit", RateLimit, Budget)

_log = logging.getLogger(__name__)


class Book:
    """One reading at a time, so that an older one never comes after a newer one."""

    def __init__(self, database: Database) -> None:
        self.rate_limits: Final = RateLimits(database)
        self.budgets: Final = Budgets(database)
        self._database = database
        self._rates: Mapping[UUID, Sequence[RateLimit]] = {}
        self._budgets: Mapping[UUID, Sequence[Budget]] = {}
        self._reading = asyncio.Lock()
        self._changed = asyncio.Event()

    def rates(self, tenant_id: UUID) -> Sequence[RateLimit]:
        """A tenant's rate limits, by name."""
        return self._rates.get(tenant_id, ())

    def budgets_of(self, tenant_id: UUID) -> Sequence[Budget]:
        """A tenant's budgets, by name."""
        return self._budgets.get(tenant_id, ())

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
        """Use what the tables say now; with the database away, what they said last."""
        async with self._reading:
            try:
                rates, budgets = await self.rate_limits.all(), await self.budgets.all()
                self._rates, self._budgets = _by_tenant(rates), _by_tenant(budgets)
            except TrunklineError as error:
                _log.warning("limits.kept reason=%s", error.reason.value)


def _by_tenant(limits: Iterable[Limit]) -> dict[UUID, list[Limit]]:
    tenants: defaultdict[UUID, list[Limit]] = defaultdict(list)
    for limit in limits:
        tenants[limit.tenant_id].append(limit)
    return dict(tenants)
