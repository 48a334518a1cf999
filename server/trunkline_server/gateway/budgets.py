"""Retry budgets: asking again cannot multiply an outage, nor can one tenant's calls that fail everywhere.

A further attempt takes a token, and brings it back when it ends with an answer: one that helps costs nothing, and when
nothing helps there is one for every five calls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

AT_START: Final = 40.0
"""Enough for the first two hundred calls at once, where a third of them fail."""
TENANTS_MAX: Final = 4096


@dataclass(slots=True)
class RetryBudget:
    """Each call earns a fifth of a further attempt."""

    per_call: float = 0.2
    tokens_max: float = 100.0
    tokens: float = AT_START

    def earn(self) -> None:
        """A call came in."""
        self._add(self.per_call)

    def restore(self) -> None:
        """A further attempt was worth it."""
        self._add(1.0)

    def _add(self, tokens: float) -> None:
        self.tokens = min(self.tokens + tokens, self.tokens_max)


@dataclass(slots=True)
class TenantBudgets:
    """One for each tenant that calls."""

    _budgets: dict[UUID, RetryBudget] = field(default_factory=dict)

    def of(self, tenant_id: UUID) -> RetryBudget:
        budget = self._budgets.get(tenant_id)
        if budget is None:
            if len(self._budgets) >= TENANTS_MAX:
                self._budgets.clear()
            budget = self._budgets[tenant_id] = RetryBudget()
        return budget


def spend(*budgets: RetryBudget) -> bool:
    """Take a token from each, if all have one."""
    if any(budget.tokens < 1.0 for budget in budgets):
        return False
    for budget in budgets:
        budget.tokens -= 1.0
    return True
