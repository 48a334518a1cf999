"""What a call may still spend of the hard budgets it comes under; asked only where there are any."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from trunkline_server.core.call import Call
from trunkline_server.core.errors import TrunklineError
from trunkline_server.core.pricing import Bill
from trunkline_server.core.rate_limit import Subject
from trunkline_server.gateway.limits.book import Book


class Allowance:
    """Held before a call. Its usage row ends the hold and counts what was really spent; the database sees to that."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def binds(self, call: Call) -> bool:
        """Whether there is anything to ask."""
        return call.caller.token is not None or self._is_bound(call)

    async def hold(self, call: Call, completion_id: UUID, subject: Subject, most: Bill, ttl_s: int) -> None:
        """The most that it costs. Raises BUDGET_EXCEEDED."""
        await self.lend(call, completion_id, most.charge_nanos, ttl_s)
        if self._is_bound(call):
            await self._book.budgets.reserve(call.caller.tenant_id, completion_id, subject, most, ttl_s)

    async def lend(self, call: Call, completion_id: UUID, most_nanos: int, ttl_s: int) -> None:
        """The same for the budget of the caller's token alone, where they have one."""
        caller = call.caller
        if caller.token is not None:
            await self._book.lent.reserve(caller.token, caller.tenant_id, completion_id, most_nanos, ttl_s)

    async def drop(self, call: Call, completion_id: UUID) -> None:
        """The call will not happen. With the database away the hold ends by itself."""
        with suppress(TrunklineError):
            if call.caller.token is not None:
                await self._book.lent.release(completion_id)
            if self._is_bound(call):
                await self._book.budgets.release(completion_id)

    def _is_bound(self, call: Call) -> bool:
        budgets = self._book.budgets_of(call.caller.tenant_id)
        return bool(budgets) and any(budget.hard for budget in budgets)
