"""Errors as gRPC tells them: the one table from reason to code, and the details that travel with each."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final

from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from trunkline.v1 import errors_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.moment import duration
from trunkline_server.door.code import Code

DOMAIN: Final = "trunkline"
DETAILS_KEY: Final = "grpc-status-details-bin"
PUSHBACK_KEY: Final = "grpc-retry-pushback-ms"
STATUS_BYTES_MAX: Final = 4096
"""Above 8 KiB of trailers gRPC begins to lose the real code."""
MESSAGE_CHARS_MAX: Final = 512
_VIOLATIONS_BYTES_MAX: Final = 2560
_FAILURES_MAX: Final = 8

_REASONS: Final[Mapping[Code, tuple[Reason, ...]]] = {
    Code.UNAUTHENTICATED: (
        Reason.AUTH_MISSING,
        Reason.AUTH_INVALID,
        Reason.AUTH_EXPIRED,
        Reason.AUTH_REVOKED,
        Reason.SIGNATURE_STALE,
        Reason.SIGNATURE_REPLAYED,
    ),
    Code.PERMISSION_DENIED: (Reason.SCOPE_MISSING, Reason.MODEL_NOT_ALLOWED, Reason.FIELD_FORBIDDEN),
    Code.NOT_FOUND: (Reason.RESOURCE_NOT_FOUND, Reason.MODEL_NOT_FOUND, Reason.PROMPT_VERSION_NOT_FOUND),
    Code.ALREADY_EXISTS: (Reason.RESOURCE_EXISTS,),
    Code.INVALID_ARGUMENT: (
        Reason.VALIDATION,
        Reason.PARAMETER_UNSUPPORTED,
        Reason.CAPABILITY_UNSUPPORTED,
        Reason.URL_NOT_ALLOWED,
        Reason.MEDIA_INVALID,
        Reason.MALFORMED_MESSAGE,
        Reason.CONTEXT_TOO_LONG,
        Reason.CONTENT_BLOCKED,
        Reason.PII_DETECTED,
        Reason.PAGE_TOKEN_INVALID,
        Reason.IDEMPOTENCY_KEY_REUSED,
        Reason.PROVIDER_REJECTED,
    ),
    Code.ABORTED: (Reason.IDEMPOTENCY_IN_PROGRESS, Reason.JOB_POISONED),
    Code.FAILED_PRECONDITION: (
        Reason.CREDIT_INSUFFICIENT,
        Reason.BALANCE_OVERFLOW,
        Reason.PRICE_UNKNOWN,
        Reason.ACCOUNT_SUSPENDED,
        Reason.TENANT_SUSPENDED,
        Reason.PROVIDER_DISABLED,
        Reason.JOB_FINAL,
        Reason.RESERVATION_CLOSED,
        Reason.BYOK_INVALID,
        Reason.TOOL_CHANGED,
        Reason.CONFIRMATION_REQUIRED,
    ),
    Code.RESOURCE_EXHAUSTED: (Reason.BUDGET_EXCEEDED, Reason.RATE_LIMITED, Reason.CONCURRENCY_LIMITED),
    Code.UNAVAILABLE: (
        Reason.OVERLOADED,
        Reason.DRAINING,
        Reason.PROVIDERS_EXHAUSTED,
        Reason.CIRCUIT_OPEN,
        Reason.PROVIDER_CREDENTIALS,
        Reason.PROVIDER_QUOTA,
        Reason.STREAM_INTERRUPTED,
        Reason.TOOL_FAILED,
        Reason.STORE_UNAVAILABLE,
    ),
    Code.OUT_OF_RANGE: (Reason.RESUME_EXPIRED,),
    Code.DEADLINE_EXCEEDED: (Reason.DEADLINE, Reason.JOB_EXPIRED),
    Code.CANCELLED: (Reason.CANCELLED,),
    Code.INTERNAL: (Reason.INTERNAL, Reason.OUTPUT_INVALID),
}
CODES: Final[Mapping[Reason, Code]] = {reason: code for code, reasons in _REASONS.items() for reason in reasons}

_PRECONDITIONS: Final = frozenset(_REASONS[Code.FAILED_PRECONDITION]) - {Reason.CREDIT_INSUFFICIENT}


def to_status(error: TrunklineError, request_id: str) -> status_pb2.Status:
    """The whole status with its details, small enough to arrive."""
    status = status_pb2.Status(code=CODES[error.reason].value, message=error.message[:MESSAGE_CHARS_MAX])
    for detail in _details(error, request_id):
        packed = status.details.add()
        packed.Pack(detail)
        if status.ByteSize() > STATUS_BYTES_MAX:
            del status.details[-1]
    return status


def pushback_ms(error: TrunklineError) -> int:
    """What a gRPC client that retries by itself is told: how long to wait, or -1 not to."""
    if error.retry_after_s is None or CODES[error.reason] is not Code.UNAVAILABLE:
        return -1
    return int(error.retry_after_s * 1000 * random.uniform(1.0, 1.2))


def trailers_of(error: TrunklineError, request_id: str) -> dict[str, str | bytes]:
    """The trailers that carry an error."""
    return {
        DETAILS_KEY: to_status(error, request_id).SerializeToString(),
        PUSHBACK_KEY: str(pushback_ms(error)),
    }


def _details(error: TrunklineError, request_id: str) -> list[Message]:
    """Most important first: what does not fit into the size is left out from the end."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason.value, domain=DOMAIN, metadata=error.metadata),
        error_details_pb2.RequestInfo(request_id=request_id),
    ]
    if error.retry_after_s is not None:
        details.append(error_details_pb2.RetryInfo(retry_delay=duration(error.retry_after_s)))
    if error.violations:
        details.append(_bad_request(error))
    if error.quota:
        details.append(_quota_failure(error))
    if error.resource is not None:
        named = error_details_pb2.ResourceInfo(resource_type=error.resource.type, resource_name=error.resource.name)
        details.append(named)
    if error.reason in _PRECONDITIONS:
        details.append(_precondition(error))
    if error.partial is not None:
        details.append(error.partial)
    if error.failures:
        details.append(errors_pb2.UpstreamFailures(failures=error.failures[-_FAILURES_MAX:]))
    return details


def _bad_request(error: TrunklineError) -> error_details_pb2.BadRequest:
    """The first violations, as many as leave room for other details."""
    request = error_details_pb2.BadRequest()
    for each in error.violations:
        request.field_violations.add(field=each.field[:256], description=each.description[:256])
        if request.ByteSize() > _VIOLATIONS_BYTES_MAX:
            del request.field_violations[-1]
            break
    return request


def _quota_failure(error: TrunklineError) -> error_details_pb2.QuotaFailure:
    violations = (
        error_details_pb2.QuotaFailure.Violation(subject=each.subject, description=each.description)
        for each in error.quota
    )
    return error_details_pb2.QuotaFailure(violations=violations)


def _precondition(error: TrunklineError) -> error_details_pb2.PreconditionFailure:
    violation = error_details_pb2.PreconditionFailure.Violation(
        type=error.reason.value, description=error.message[:256]
    )
    return error_details_pb2.PreconditionFailure(violations=[violation])
