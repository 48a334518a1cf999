"""Trying a provider again: when, after how long, and when to give up."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Final

from trunkline_server.core.failure import Failover, FailureKind, Retry, UpstreamFailure

BACKOFF_BASE_S: Final = 0.2
BACKOFF_S_MAX: Final = 2.0
TOLD_S_MAX: Final = 2.0
TOLD_SHARE: Final = 0.2
ATTEMPT_S_MIN: Final = 0.05
MAY_HAVE_WORKED: Final = frozenset((FailureKind.AMBIGUOUS, FailureKind.BROKEN, FailureKind.TIMEOUT_FIRST_TOKEN))
"""The provider may have done the work, though nobody can read what came of it; a second time may cost a second time."""
MOVE_S_MIN: Final = 1.0
"""Another provider is asked only where at least so much time is left."""


@dataclass(slots=True)
class RetryBudget:
    """Retries cannot multiply an outage: each call earns a fifth of a retry, and a few are always there."""

    per_call: float = 0.2
    floor: float = 3.0
    ceiling: float = 100.0
    _tokens: float = field(default=3.0)

    def earn(self) -> None:
        """A call came in."""
        self._tokens = min(self._tokens + self.per_call, self.ceiling)

    def spend(self) -> bool:
        """Take a retry, if there is one."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class Budgets:
    """One retry budget per provider."""

    def __init__(self) -> None:
        self._budgets: dict[str, RetryBudget] = {}

    def of(self, provider: str) -> RetryBudget:
        return self._budgets.setdefault(provider, RetryBudget())


@dataclass(slots=True)
class Plan:
    """How often one call may still try. `is_idempotent`: a second execution does no harm, as of a chat."""

    attempts_max: int
    budget: RetryBudget
    made: int = 0
    is_idempotent: bool = True
    _retries: dict[str, int] = field(default_factory=dict)

    def pause_s(self, failure: UpstreamFailure, remaining_s: float) -> float | None:
        """How long to wait before the next attempt; None to give up."""
        if not self.is_idempotent and failure.kind in MAY_HAVE_WORKED:
            return None
        retries = self._retries[failure.kind] = self._retries.get(failure.kind, 0) + 1
        if self.made >= self.attempts_max or retries > failure.retries_max:
            return None
        pause_s = _pause_s(failure, retries, remaining_s)
        if pause_s is None or pause_s + ATTEMPT_S_MIN > remaining_s or not self.budget.spend():
            return None
        return pause_s

    def may_move(self, failure: UpstreamFailure, remaining_s: float, *, own_key: bool = False) -> bool:
        """Whether another provider may be asked, after one with the tenant's `own_key` or the gateway's.

        No budget: a breaker keeps calls away from one that is down.
        """
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
        if self.made >= self.attempts_max or not self.budget.spend():
            return False
        self.made += 1
        return True

    def moved(self, budget: RetryBudget) -> None:
        """Another provider is asked, which may be tried again by its own rules."""
        self.budget = budget
        self._retries.clear()


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
