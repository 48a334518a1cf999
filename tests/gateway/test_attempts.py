"""When a provider is tried again."""

from __future__ import annotations

import pytest

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.gateway.attempts import Plan, RetryBudget

FAR = 60.0


def plan(attempts_max: int = 4) -> Plan:
    return Plan(attempts_max, RetryBudget(), made=1)


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


def test_retries_cannot_multiply_an_outage() -> None:
    budget = RetryBudget()
    calls, retries = 1000, 0
    for _ in range(calls):
        budget.earn()
        retries += Plan(4, budget, made=1).pause_s(UpstreamFailure(FailureKind.NEVER_SENT), FAR) is not None
    assert retries <= calls * 0.2 + 3
