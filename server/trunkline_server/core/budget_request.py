"""Budgets as the contract spells them, and as the gateway keeps them."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from trunkline.v1 import limits_pb2, usage_pb2
from trunkline_server.core import money
from trunkline_server.core.budget import Budget, Window
from trunkline_server.core.errors import invalid
from trunkline_server.core.limit_request import selector_of
from trunkline_server.core.moment import timestamp
from trunkline_server.core.text import readable

PERIODS: Final = {
    limits_pb2.BUDGET_PERIOD_HOUR: "hour",
    limits_pb2.BUDGET_PERIOD_DAY: "day",
    limits_pb2.BUDGET_PERIOD_MONTH: "month",
}
THRESHOLDS: Final = (50, 80, 100)
_PERIOD_WORDS: Final = {word: number for number, word in PERIODS.items()}


def budget_of(tenant_id: UUID, told: limits_pb2.Budget) -> Budget:
    """Raises VALIDATION."""
    if told.amount.unit not in (money.CREDIT, money.USD):
        raise invalid("budget.amount.unit", f"must be {money.CREDIT} or {money.USD}")
    if told.amount.nanos <= 0:
        raise invalid("budget.amount.nanos", "must be more than 0")
    return Budget(
        tenant_id=tenant_id,
        name=told.name,
        selector=selector_of(told.selector, "budget.selector"),
        period=PERIODS[told.period],
        time_zone=readable("budget.time_zone", told.time_zone) or "UTC",
        unit=told.amount.unit,
        amount_nanos=told.amount.nanos,
        hard=told.hard,
        thresholds=tuple(sorted(told.thresholds)) or THRESHOLDS,
        spike_percent=told.spike_percent,
    )


def told_budget(budget: Budget) -> limits_pb2.Budget:
    """As the contract spells it."""
    return limits_pb2.Budget(
        name=budget.name,
        selector=limits_pb2.LimitSelector(**budget.selector._asdict()),
        period=_PERIOD_WORDS[budget.period],
        time_zone=budget.time_zone,
        amount=usage_pb2.Amount(unit=budget.unit, nanos=budget.amount_nanos),
        hard=budget.hard,
        thresholds=budget.thresholds,
        spike_percent=budget.spike_percent,
    )


def told_window(budget: Budget, window: Window) -> limits_pb2.BudgetWindow:
    """As the contract spells it."""
    remaining_nanos = budget.amount_nanos - window.spent_nanos - window.held_nanos
    return limits_pb2.BudgetWindow(
        budget=window.budget,
        subject=limits_pb2.LimitSelector(**window.subject._asdict()),
        start_time=timestamp(window.start_time),
        end_time=timestamp(window.end_time),
        spent=usage_pb2.Amount(unit=budget.unit, nanos=window.spent_nanos),
        held=usage_pb2.Amount(unit=budget.unit, nanos=window.held_nanos),
        remaining=usage_pb2.Amount(unit=budget.unit, nanos=remaining_nanos),
        thresholds_passed=window.thresholds_passed,
        spiked=window.spiked,
    )
