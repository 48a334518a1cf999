"""What a caller is told when a provider failed for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trunkline.v1 import errors_pb2
from trunkline_server.core.errors import Reason, TrunklineError, not_found
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.gateway.choice import circuit_open

RETRY_S: Final = 1.0

_TOLD: Final = {
    FailureKind.INVALID: (Reason.PROVIDER_REJECTED, "the provider says that the request is invalid"),
    FailureKind.FILTERED: (Reason.PROVIDER_REJECTED, "the provider's content policy refuses the request"),
    FailureKind.CONTEXT_TOO_LONG: (Reason.CONTEXT_TOO_LONG, "the input is longer than the model takes"),
}
_ABOUT_THE_QUESTION: Final = frozenset((FailureKind.INVALID, FailureKind.FILTERED))
_EXHAUSTED: Final = (Reason.PROVIDERS_EXHAUSTED, "no provider could answer")
_OURS: Final = {
    FailureKind.AUTH: (Reason.PROVIDER_CREDENTIALS, "the provider does not take the gateway's key"),
    FailureKind.QUOTA: (Reason.PROVIDER_QUOTA, "the gateway's account at the provider is spent"),
}
_CALLERS: Final = {
    FailureKind.AUTH: (Reason.BYOK_INVALID, "the provider does not take the key of your own account"),
    FailureKind.QUOTA: (Reason.PROVIDER_QUOTA, "your own account at the provider is spent"),
}


def told(
    failure: UpstreamFailure,
    failures: Sequence[errors_pb2.UpstreamFailure],
    model: str,
    *,
    begun: bool,
    own_key: bool,
    partial: errors_pb2.PartialResult | None,
) -> TrunklineError:
    """The error for the last failure. `begun`: the caller has had a part of the answer. `own_key`: the tenant's."""
    if begun:
        return TrunklineError(
            Reason.STREAM_INTERRUPTED,
            "the answer broke off",
            retry_after_s=RETRY_S,
            failures=failures,
            partial=partial,
        )
    if own_key and failure.kind is FailureKind.AUTH:
        return byok_invalid(failures)
    retry_after_s = None if failure.should_retry is False else failure.retry_after_s or RETRY_S
    if _differ(failures) and failure.kind not in _ABOUT_THE_QUESTION:
        return exhausted(failures, partial, retry_after_s)
    if failure.kind is FailureKind.MODEL_UNKNOWN:
        missing = not_found("model", model, Reason.MODEL_NOT_FOUND)
        missing.failures = failures
        return missing
    if failure.kind in _TOLD:
        reason, message = _TOLD[failure.kind]
        return TrunklineError(reason, message, failures=failures)
    accounts = _CALLERS if own_key else _OURS
    reason, message = accounts.get(failure.kind, _EXHAUSTED)
    if failure.kind in accounts:  # nobody mends a key or pays a bill within a second
        retry_after_s = retry_after_s and failure.retry_after_s
    return TrunklineError(reason, message, retry_after_s=retry_after_s, failures=failures, partial=partial)


def byok_invalid(failures: Sequence[errors_pb2.UpstreamFailure] = ()) -> TrunklineError:
    """The tenant's own key was refused; trying again does not help."""
    return TrunklineError(*_CALLERS[FailureKind.AUTH], failures=failures)


def exhausted(
    failures: Sequence[errors_pb2.UpstreamFailure],
    partial: errors_pb2.PartialResult | None,
    retry_after_s: float | None = RETRY_S,
) -> TrunklineError:
    """Whoever could be asked failed."""
    reason, message = _EXHAUSTED
    return TrunklineError(reason, message, retry_after_s=retry_after_s, failures=failures, partial=partial)


def no_way_in(
    reason: Reason, due_in_s: float, failures: Sequence[errors_pb2.UpstreamFailure], partial: errors_pb2.PartialResult
) -> TrunklineError:
    """Whoever was asked failed, if anybody was, and nobody else can be asked now."""
    if failures:
        return exhausted(failures, partial)
    if reason is Reason.CIRCUIT_OPEN:
        return circuit_open(due_in_s)
    return TrunklineError(Reason.OVERLOADED, "too many calls are at the provider", retry_after_s=RETRY_S)


def _differ(failures: Sequence[errors_pb2.UpstreamFailure]) -> bool:
    """Several models were asked, and failed in different ways."""
    asked = {(each.provider, each.model) for each in failures}
    return len(asked) > 1 and len({each.kind for each in failures}) > 1


def stopped(reason: Reason, partial: errors_pb2.PartialResult) -> TrunklineError:
    """The error of a call that was ended from outside."""
    if reason is Reason.DRAINING:
        return TrunklineError(reason, "this replica goes away", retry_after_s=RETRY_S, partial=partial)
    return TrunklineError(reason, "the call was cancelled", partial=partial)
