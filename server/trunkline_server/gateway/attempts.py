"""Trying a provider again: when, after how long, and when to give up."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Final

from trunkline_server.core.failure import Failover, FailureKind, Retry, UpstreamFailure
from trunkline_server.gateway.budgets import RetryBudget, spend

BACKOFF_BASE_S: Final = 0.2
BACKOFF_S_MAX: Final = 2.0
TOLD_S_MAX: Final = 2.0
TOLD_SHARE: Final = 0.2
ATTEMPT_S_MIN: Final = 0.05
"""Of the first attempt: it is the caller who chose the time."""
MAY_HAVE_WORKED: Final = frozenset((FailureKind.AMBIGUOUS, FailureKind.BROKEN, FailureKind.TIMEOUT_FIRST_TOKEN))
"""The provider may have done the work, though nobody can read what came of it; a second time may cost a second time."""
MOVE_S_MIN: Final = 1.0
"""Nobody is asked once more where less time is left."""


@dataclass(slots=True)
class Plan:
    """How often one call may still try. `is_idempotent`: a second execution does no harm, as of a chat.

    `budget` is of the provider that it is with, `tenant_budget` of whoever calls.
    """

    attempts_max: int
    budget: RetryBudget
    tenant_budget: RetryBudget
    made: int = 0
    is_idempotent: bool = True
    is_spent: bool = False
    """There was no budget left for another attempt."""
    _lent: tuple[RetryBudget, ...] = ()
    _retries: dict[str, int] = field(default_factory=dict)

    @property
    def may_go_on(self) -> bool:
        """After the attempt that is being made there may be another."""
        return self.made < self.attempts_max

    def pause_s(self, failure: UpstreamFailure, remaining_s: float, typical_s: float | None = None) -> float | None:
        """How long to wait before the next attempt, which usually takes `typical_s`; None to give up."""
        if not self.is_idempotent and failure.kind in MAY_HAVE_WORKED:
            return None
        retries = self._retries[failure.kind] = self._retries.get(failure.kind, 0) + 1
        if self.made >= self.attempts_max or retries > failure.retries_max:
            return None
        pause_s = _pause_s(failure, retries, remaining_s)
        if pause_s is None or pause_s + max(MOVE_S_MIN, typical_s or 0.0) > remaining_s or not self.spend():
            return None
        return pause_s

    def may_move(self, failure: UpstreamFailure, remaining_s: float, *, own_key: bool = False) -> bool:
        """Whether another provider may be asked, after one with the tenant's `own_key` or the gateway's."""
        if self.made >= self.attempts_max or remaining_s < MOVE_S_MIN:
            return False
        if not self.is_idempotent and failure.kind in MAY_HAVE_WORKED:
            return False
        match failure.rule.failover:
            case Failover.NEVER:
                return False
            case Failover.GATEWAY_KEY:
                return not own_key
            case Failover.ALWAYS | Failover.LARGER_WINDOW | Failover.IF_IDEMPOTENT:
                return True

    def may_hedge(self) -> bool:
        """Whether there may be an attempt beside the one that runs; it counts, and takes from the retry budget."""
        if self.made >= self.attempts_max or not spend(self.budget, self.tenant_budget):
            return False
        self.made += 1
        return True

    def spend(self) -> bool:
        """Whether there is budget for another attempt, which is taken."""
        budgets = (self.budget, self.tenant_budget)
        self.is_spent = not spend(*budgets)
        self._lent = () if self.is_spent else budgets
        return not self.is_spent

    def restore(self) -> None:
        """What was taken last was worth it, or was not needed."""
        for budget in self._lent:
            budget.restore()
        self._lent = ()

    def moved(self, budget: RetryBudget) -> None:
        """Another provider is asked, which may be tried again by its own rules."""
        self.budget = budget
        self._retries.clear()

    def final(self, failure: UpstreamFailure) -> UpstreamFailure:
        """As the caller is told of it: where our own budget is spent, it is no use that callers try again."""
        if self.is_spent:
            failure.should_retry = False
        return failure


def worth_waiting(told_s: float, remaining_s: float) -> bool:
    """Whether what the provider asks for fits into the call."""
    return told_s <= min(TOLD_S_MAX, TOLD_SHARE * remaining_s)


def _pause_s(failure: UpstreamFailure, retries: int, remaining_s: float) -> float | None:
    told_s = failure.retry_after_s
    if told_s is not None:
        return told_s if worth_waiting(told_s, remaining_s) else None
    match failure.rule.retry:
        case Retry.AT_ONCE:
            return 0.0
        case Retry.BACKOFF | Retry.IF_IDEMPOTENT:
            return _backoff_s(retries)
        case Retry.AS_TOLD | Retry.NEVER:
            return _backoff_s(retries) if failure.should_retry else None


def _backoff_s(retries: int) -> float:
    return random.uniform(0, min(BACKOFF_S_MAX, BACKOFF_BASE_S * 2**retries))
