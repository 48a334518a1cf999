"""How much of a budget was spent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, TypeAlias

from trunkline.amounts import to_decimal
from trunkline.v1 import limits_pb2

Period: TypeAlias = Literal["hour", "day", "month"]


@dataclass(frozen=True)
class Spending:
    """What was spent of a budget in its window, and what is left."""

    window: limits_pb2.BudgetWindow

    @property
    def budget(self) -> str:
        return self.window.budget

    @property
    def user(self) -> str:
        """Whose it is, where each user has one."""
        return self.window.subject.user_id

    @property
    def spent(self) -> Decimal:
        return to_decimal(self.window.spent)

    @property
    def remaining(self) -> Decimal:
        """Below zero where more was spent."""
        return to_decimal(self.window.remaining)

    @property
    def ends(self) -> datetime:
        """When the next window begins."""
        return self.window.end_time.ToDatetime(UTC)


def period_of(period: Period) -> limits_pb2.BudgetPeriod.ValueType:
    return limits_pb2.BudgetPeriod.Value(f"BUDGET_PERIOD_{period.upper()}")
