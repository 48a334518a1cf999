"""When a provider is tried again."""

from __future__ import annotations

from math import inf

import pytest

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.ids import new_uuid
from trunkline_server.gateway.attempts import Plan
from trunkline_server.gateway.budgets import AT_START, RetryBudget, TenantBudgets
from trunkline_server.gateway.shares import share_s

FAR = 60.0


def plan(attempts_max: int = 4) -> Plan:
    return Plan(attempts_max, RetryBudget(), RetryBudget(), made=1)


def test_a_transient_failure_is_tried_again_twice_after_a_short_pause() -> None:
    patient = plan()
    failure = UpstreamFailure(FailureKind.TRANSIENT, 500)
    first, second, third = (patient.pause_s(failure, FAR) for _ in range(3))
    assert 0 <= (first or 0) <= 0.4
    assert 0 <= (second or 0) <= 0.8
    assert (first is None, second is None, third is None) == (False, False, True)


@pytest.mark.parametrize("kind", [FailureKind.INVALID, FailureKind.AUTH, FailureKind.QUOTA, FailureKind.INTERRUPTED])
def test_what_will_not_get_better_is_not_tried_again(kind: FailureKind) -> None:
    assert plan().pause_s(UpstreamFailure(kind, 400), FAR) is None


def test_the_pause_the_provider_asks_for_is_kept_exactly() -> None:
    assert plan().pause_s(UpstreamFailure(FailureKind.THROTTLED, 429, retry_after_s=1.0), FAR) == 1.0


@pytest.mark.parametrize(("told_s", "remaining_s"), [(3600.0, FAR), (1.0, 2.0), (2.5, FAR)])
def test_a_pause_that_is_too_long_for_the_call_is_not_begun(told_s: float, remaining_s: float) -> None:
    assert plan().pause_s(UpstreamFailure(FailureKind.THROTTLED, 429, retry_after_s=told_s), remaining_s) is None


def test_throttled_without_a_pause_is_left_to_others() -> None:
    assert plan().pause_s(UpstreamFailure(FailureKind.THROTTLED, 429), FAR) is None


def test_attempts_are_counted_over_all_kinds() -> None:
    patient = plan(attempts_max=2)
    assert patient.pause_s(UpstreamFailure(FailureKind.NEVER_SENT), FAR) == 0.0
    patient.made = 2
    assert patient.pause_s(UpstreamFailure(FailureKind.TRANSIENT, 500), FAR) is None


def test_no_attempt_begins_when_the_time_is_over() -> None:
    assert plan().pause_s(UpstreamFailure(FailureKind.NEVER_SENT), 0.01) is None


def test_the_provider_may_forbid_it() -> None:
    assert plan().pause_s(UpstreamFailure(FailureKind.TRANSIENT, 500, should_retry=False), FAR) is None


def failing(budget: RetryBudget, tenant_budget: RetryBudget, calls: int) -> int:
    """Calls that fail, however often they are tried; how many were tried again."""
    retries = 0
    for _ in range(calls):
        budget.earn()
        tenant_budget.earn()
        plan = Plan(4, budget, tenant_budget, made=1)
        retries += plan.pause_s(UpstreamFailure(FailureKind.NEVER_SENT), FAR) is not None
    return retries


def test_retries_cannot_multiply_an_outage() -> None:
    assert failing(RetryBudget(), RetryBudget(), 1000) <= 1000 * 0.2 + AT_START


def test_a_tenant_whose_calls_fail_everywhere_cannot_use_up_what_others_have() -> None:
    tenant_budget = RetryBudget()
    retries = [failing(RetryBudget(), tenant_budget, 100) for _ in range(20)]
    assert sum(retries) <= 2000 * 0.2 + AT_START
    assert failing(RetryBudget(), RetryBudget(), 1) == 1


def test_an_attempt_that_answers_costs_nothing() -> None:
    budget, tenant_budget = RetryBudget(), RetryBudget()
    for _ in range(1000):
        patient = Plan(4, budget, tenant_budget, made=1)
        assert patient.pause_s(UpstreamFailure(FailureKind.NEVER_SENT), FAR) == 0.0
        patient.restore()
    assert (budget.tokens, tenant_budget.tokens) == (AT_START, AT_START)


def test_what_is_given_back_goes_to_where_it_came_from() -> None:
    first, second, tenant_budget = RetryBudget(), RetryBudget(), RetryBudget()
    patient = Plan(4, first, tenant_budget, made=1)
    assert patient.spend()
    patient.moved(second)
    assert (first.tokens, second.tokens, tenant_budget.tokens) == (AT_START - 1, AT_START, AT_START - 1)
    patient.restore()
    patient.restore()
    assert (first.tokens, second.tokens, tenant_budget.tokens) == (AT_START, AT_START, AT_START)


@pytest.mark.parametrize("tokens", [(0.5, 9.0), (9.0, 0.5)])
def test_where_the_budget_is_spent_callers_are_told_not_to_try_again(tokens: tuple[float, float]) -> None:
    budgets = budget, tenant_budget = RetryBudget(tokens=tokens[0]), RetryBudget(tokens=tokens[1])
    spent = Plan(4, budget, tenant_budget, made=1)
    failure = UpstreamFailure(FailureKind.TRANSIENT, 500)
    assert spent.pause_s(failure, FAR) is None
    assert tuple(each.tokens for each in budgets) == tokens
    assert spent.final(failure).should_retry is False
    assert plan().final(UpstreamFailure(FailureKind.TRANSIENT, 500)).should_retry is None


def test_a_retry_that_cannot_end_in_time_is_not_begun() -> None:
    failure = UpstreamFailure(FailureKind.NEVER_SENT)
    assert plan().pause_s(failure, 3.0, 5.0) is None
    assert plan().pause_s(failure, 3.0, 2.0) == 0.0
    assert plan().pause_s(failure, 0.9) is None


def test_every_tenant_has_a_budget_of_its_own() -> None:
    budgets, (one, other) = TenantBudgets(), (new_uuid(), new_uuid())
    assert budgets.of(one) is budgets.of(one)
    assert budgets.of(one) is not budgets.of(other)


@pytest.mark.parametrize(
    ("remaining_s", "typical_s", "streaming", "share"),
    [
        (60.0, None, True, 30.0),
        (60.0, None, False, 45.0),
        (60.0, 1.0, False, 45.0),
        (60.0, 10.0, False, 40.0),
        (60.0, 100.0, False, 30.0),
        (4.0, None, False, 2.0),
        (2.0, None, False, inf),  # what would be left is too little for another
        (2.0, None, True, inf),
    ],
)
def test_an_attempt_leaves_time_for_the_next_candidate(
    remaining_s: float, typical_s: float | None, streaming: bool, share: float
) -> None:
    assert share_s(remaining_s, typical_s, streaming=streaming) == share
