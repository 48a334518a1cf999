"""The limits of all tenants, in memory: read at the start, again whenever they change, and swapped as a whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar
from uuid import UUID

from trunkline_server.core.budget import Budget
from trunkline_server.core.rate_limit import RateLimit
from trunkline_server.gateway.mirror import Mirror
from trunkline_server.store.browser_tokens import BrowserSpending
from trunkline_server.store.budgets import Budgets
from trunkline_server.store.database import Database
from trunkline_server.store.rate_limits import CHANNEL, RateLimits

Limit = TypeVar("Limit", RateLimit, Budget)


class Book(Mirror):
    """By tenant."""

    channel = CHANNEL
    name = "limits"

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.rate_limits: Final = RateLimits(database)
        self.budgets: Final = Budgets(database)
        self.lent: Final = BrowserSpending(database)
        self._rates: Mapping[UUID, Sequence[RateLimit]] = {}
        self._budgets: Mapping[UUID, Sequence[Budget]] = {}

    def rates(self, tenant_id: UUID) -> Sequence[RateLimit]:
        """A tenant's rate limits, by name."""
        return self._rates.get(tenant_id, ())

    def budgets_of(self, tenant_id: UUID) -> Sequence[Budget]:
        """A tenant's budgets, by name."""
        return self._budgets.get(tenant_id, ())

    async def _read(self) -> None:
        rates, budgets = await self.rate_limits.all(), await self.budgets.all()
        self._rates, self._budgets = _by_tenant(rates), _by_tenant(budgets)


def _by_tenant(limits: Iterable[Limit]) -> dict[UUID, list[Limit]]:
    tenants: defaultdict[UUID, list[Limit]] = defaultdict(list)
    for limit in limits:
        tenants[limit.tenant_id].append(limit)
    return dict(tenants)
