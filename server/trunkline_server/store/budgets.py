"""Budgets. What is spent is decided in the database, where it is charged; here it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from trunkline_server.core.budget import Budget, Window
from trunkline_server.core.errors import QuotaViolation, Reason, TrunklineError, invalid, not_found
from trunkline_server.core.money import to_decimal_text
from trunkline_server.core.pricing import Bill
from trunkline_server.core.rate_limit import Selector, Subject
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)

WINDOWS_KEPT: Final = 500
"""Hours, days or months: of the last of them it is told whether spend is unusual."""
FORGET_ROWS: Final = 5000
DELETE_TIMEOUT_S: Final = 30.0


class Budgets:
    """The tables of budgets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Budget]:
        """Of every tenant, by tenant and name."""
        return [_budget(row) for row in await self._database.fetch(_SQL.all)]

    async def set(self, budget: Budget, set_by: str) -> None:
        """Make it, or change the one of that name. Raises VALIDATION for a time zone that is none."""
        if not await self._database.fetchval(_SQL.knows_zone, budget.time_zone):
            raise invalid("budget.time_zone", "is no time zone: name one such as Europe/Berlin")
        told = (budget.unit, budget.amount_nanos, budget.hard, list(budget.thresholds), budget.spike_percent)
        chosen = (budget.tenant_id, budget.name, list(budget.selector), budget.period, budget.time_zone)
        await self._database.execute(_SQL.set, *chosen, *told, set_by)

    async def delete(self, tenant_id: UUID, name: str) -> None:
        """With its windows. Raises RESOURCE_NOT_FOUND."""
        async with self._database.patient(DELETE_TIMEOUT_S) as connection:
            deleted = await connection.fetchval(_SQL.delete, tenant_id, name)
        if deleted is None:
            raise not_found("budget", name)

    async def reserve(self, tenant_id: UUID, completion_id: UUID, subject: Subject, most: Bill, ttl_s: int) -> None:
        """Hold the most that a call costs against its hard budgets; again for the same call replaces that.

        The usage row of the call ends it. Raises BUDGET_EXCEEDED.
        """
        asked = (tenant_id, completion_id, list(subject), most.charge_nanos, most.cost_nano_usd, ttl_s)
        if refused := await self._database.fetch(_SQL.reserve, *asked):
            raise _exceeded(refused)

    async def release(self, completion_id: UUID) -> None:
        """The call will not happen."""
        await self._database.execute(_SQL.release, completion_id)

    async def expire(self) -> int:
        """Forget some of what calls held that never ended, which counts no more anyway; how many those were."""
        return int((await self._database.execute(_SQL.expire)).removeprefix("DELETE "))

    async def forget(self) -> int:
        """Some of the windows of long ago; how many those were."""
        return int(await self._database.fetchval(_SQL.forget, WINDOWS_KEPT, FORGET_ROWS))

    async def windows(self, tenant_id: UUID, names: Sequence[str]) -> list[Window]:
        """What was spent until now, by budget, most first."""
        rows = await self._database.fetch(_SQL.windows, tenant_id, list(names))
        return [
            Window(name, Subject(*subject), start, end, spent, held, tuple(passed), spiked)
            for name, subject, start, end, spent, held, passed, spiked in rows
        ]


def _budget(row: asyncpg.Record) -> Budget:
    tenant_id, name, *selector, period, zone, unit, amount, hard, thresholds, spike_percent = row
    return Budget(
        tenant_id, name, Selector(*selector), period, zone, unit, amount, hard, tuple(thresholds), spike_percent
    )


def _exceeded(refused: Sequence[asyncpg.Record]) -> TrunklineError:
    """By the budget that opens last."""
    name, unit, amount, needed, remaining, opens_s = max(refused, key=lambda row: row["opens_s"])
    left, needed_text = to_decimal_text(max(remaining, 0)), to_decimal_text(needed)
    return TrunklineError(
        Reason.BUDGET_EXCEEDED,
        f"the budget {name!r} of {to_decimal_text(amount)} {unit} has {left} left, the call may need {needed_text}",
        quota=(QuotaViolation(f"budget:{name}", f"needed {needed_text}, available {left} {unit}"),),
        metadata={"budget": name, "unit": unit, "neededNanos": str(needed), "availableNanos": str(remaining)},
        retry_after_s=opens_s,
    )
