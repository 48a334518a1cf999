"""What follows when an attempt at a job failed: another one later, or the end."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind

RETRY_S_MAX: Final = 300.0
RETRY_S: Final = 2.0
LIMIT_S: Final = 5.0
"""How long a limit is waited out where it does not say when it ends."""

_LIMITS: Final = frozenset((Reason.RATE_LIMITED, Reason.CONCURRENCY_LIMITED, Reason.OVERLOADED, Reason.CIRCUIT_OPEN))
_OURS: Final = frozenset((Reason.DRAINING, Reason.STORE_UNAVAILABLE))
_PASSING: Final = frozenset(
    (
        Reason.DEADLINE,
        Reason.INTERNAL,
        Reason.STREAM_INTERRUPTED,
        Reason.PROVIDER_CREDENTIALS,
        Reason.PROVIDER_QUOTA,
    )
)


@dataclass(frozen=True, slots=True)
class Later:
    """Try again after `delay_s`. `burns`: the attempt counts."""

    reason: str
    delay_s: float
    burns: bool


def judge(error: TrunklineError, attempt: int, max_attempts: int) -> Later | None:
    """None: the job has failed. Limits and our own troubles cost no attempt."""
    if is_limit(error):
        return Later("rate_limited", (error.retry_after_s or LIMIT_S) * random.uniform(1.0, 1.1), burns=False)
    if error.reason in _OURS:
        return Later("retry", random.uniform(0, error.retry_after_s or RETRY_S), burns=False)
    passes = error.retry_after_s is not None or error.reason in _PASSING
    if not passes or attempt >= max_attempts:
        return None
    return Later("retry", random.uniform(0, min(RETRY_S_MAX, RETRY_S * 2**attempt)), burns=True)


def is_limit(error: TrunklineError) -> bool:
    """A limit, ours or every provider's, does not let it through now."""
    kinds = {failure.kind for failure in error.failures}
    return error.reason in _LIMITS or kinds == {FailureKind.THROTTLED.value}
