"""What browser tokens have spent, and what their running calls can still cost."""

from __future__ import annotations

from uuid import UUID

from trunkline_server.core.browser_token import BrowserToken
from trunkline_server.core.errors import QuotaViolation, Reason, TrunklineError
from trunkline_server.core.money import to_decimal_text
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)


class BrowserSpending:
    """The tables of tokens that were used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(
        self, token: BrowserToken, tenant_id: UUID, completion_id: UUID, most_nanos: int, ttl_s: int
    ) -> None:
        """Hold the most that a call costs; again for the same call replaces that. Raises BUDGET_EXCEEDED."""
        bounds = (token.token_id, tenant_id, token.budget_nanos, token.expire_time)
        left = await self._database.fetchval(_SQL.reserve, *bounds, completion_id, most_nanos, ttl_s)
        if left is not None:
            raise _exceeded(most_nanos, left)

    async def release(self, completion_id: UUID) -> None:
        """The call will not happen."""
        await self._database.execute(_SQL.release, completion_id)

    async def purge(self) -> int:
        """Forget what some of the tokens spent that are over; how many those were."""
        return int((await self._database.execute(_SQL.purge)).removeprefix("DELETE "))


def _exceeded(needed_nanos: int, left_nanos: int) -> TrunklineError:
    """Nothing comes back: a token has one budget for its life."""
    needed, left = to_decimal_text(needed_nanos), to_decimal_text(max(left_nanos, 0))
    return TrunklineError(
        Reason.BUDGET_EXCEEDED,
        f"the browser token has {left} credits left, the call may need {needed}",
        quota=(QuotaViolation("budget:browser_token", f"needed {needed}, available {left} CREDIT"),),
        metadata={"unit": "CREDIT", "neededNanos": str(needed_nanos), "availableNanos": str(left_nanos)},
    )
