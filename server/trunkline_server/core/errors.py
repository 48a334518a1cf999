"""What can go wrong, told to callers.

Exception
├── TrunklineError        has a `Reason`; the door turns it into a gRPC status by one table
└── UpstreamFailure       a provider failed (core/failure.py); the gateway retries, or turns it into a TrunklineError

The message and every fact of a `TrunklineError` are public: never provider text, prompt text, SQL or a secret.
What happened inside goes into `__cause__`, which stays on this side of the door.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from google.rpc import status_pb2

    from trunkline.v1 import errors_pb2


class Reason(StrEnum):
    """The stable word in `ErrorInfo.reason`; clients branch on it."""

    AUTH_MISSING = "AUTH_MISSING"
    AUTH_INVALID = "AUTH_INVALID"
    AUTH_EXPIRED = "AUTH_EXPIRED"
    AUTH_REVOKED = "AUTH_REVOKED"
    SIGNATURE_STALE = "SIGNATURE_STALE"
    SIGNATURE_REPLAYED = "SIGNATURE_REPLAYED"
    SCOPE_MISSING = "SCOPE_MISSING"
    MODEL_NOT_ALLOWED = "MODEL_NOT_ALLOWED"
    FIELD_FORBIDDEN = "FIELD_FORBIDDEN"
    RESOURCE_NOT_FOUND = "RESOURCE_NOT_FOUND"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    PROMPT_VERSION_NOT_FOUND = "PROMPT_VERSION_NOT_FOUND"
    RESOURCE_EXISTS = "RESOURCE_EXISTS"
    VALIDATION = "VALIDATION"
    PARAMETER_UNSUPPORTED = "PARAMETER_UNSUPPORTED"
    CAPABILITY_UNSUPPORTED = "CAPABILITY_UNSUPPORTED"
    URL_NOT_ALLOWED = "URL_NOT_ALLOWED"
    MEDIA_INVALID = "MEDIA_INVALID"
    MALFORMED_MESSAGE = "MALFORMED_MESSAGE"
    CONTEXT_TOO_LONG = "CONTEXT_TOO_LONG"
    CONTENT_BLOCKED = "CONTENT_BLOCKED"
    PII_DETECTED = "PII_DETECTED"
    PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    IDEMPOTENCY_IN_PROGRESS = "IDEMPOTENCY_IN_PROGRESS"
    CREDIT_INSUFFICIENT = "CREDIT_INSUFFICIENT"
    BALANCE_OVERFLOW = "BALANCE_OVERFLOW"
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
    RATE_LIMITED = "RATE_LIMITED"
    CONCURRENCY_LIMITED = "CONCURRENCY_LIMITED"
    PRICE_UNKNOWN = "PRICE_UNKNOWN"
    ACCOUNT_SUSPENDED = "ACCOUNT_SUSPENDED"
    TENANT_SUSPENDED = "TENANT_SUSPENDED"
    PROVIDER_DISABLED = "PROVIDER_DISABLED"
    JOB_FINAL = "JOB_FINAL"
    JOB_EXPIRED = "JOB_EXPIRED"
    JOB_POISONED = "JOB_POISONED"
    CONFIRMATION_REQUIRED = "CONFIRMATION_REQUIRED"
    RESERVATION_CLOSED = "RESERVATION_CLOSED"
    BYOK_INVALID = "BYOK_INVALID"
    OVERLOADED = "OVERLOADED"
    DRAINING = "DRAINING"
    PROVIDERS_EXHAUSTED = "PROVIDERS_EXHAUSTED"
    CIRCUIT_OPEN = "CIRCUIT_OPEN"
    PROVIDER_REJECTED = "PROVIDER_REJECTED"
    PROVIDER_CREDENTIALS = "PROVIDER_CREDENTIALS"
    PROVIDER_QUOTA = "PROVIDER_QUOTA"
    TOOL_FAILED = "TOOL_FAILED"
    TOOL_CHANGED = "TOOL_CHANGED"
    STREAM_INTERRUPTED = "STREAM_INTERRUPTED"
    OUTPUT_INVALID = "OUTPUT_INVALID"
    RESUME_EXPIRED = "RESUME_EXPIRED"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    DEADLINE = "DEADLINE"
    CANCELLED = "CANCELLED"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of the request that is wrong, by its path (`input.messages[2].role`)."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class QuotaViolation:
    """A limit that the call ran into: whose it is, and how much was needed and left."""

    subject: str
    description: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A thing that is missing or already there."""

    type: str
    name: str


@dataclass(eq=False)
class TrunklineError(Exception):
    """An error a caller gets. `retry_after_s` is set when trying again later can help; None means it cannot."""

    reason: Reason
    message: str
    violations: Sequence[FieldViolation] = ()
    quota: Sequence[QuotaViolation] = ()
    resource: Resource | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: float | None = None
    failures: Sequence[errors_pb2.UpstreamFailure] = ()
    partial: errors_pb2.PartialResult | None = None

    def __post_init__(self) -> None:
        Exception.__init__(self, self.message)


Describe: TypeAlias = "Callable[[TrunklineError, str], status_pb2.Status]"
"""Words an error, of a request or job of this id, where it is told as a value."""


def invalid(path: str, description: str, reason: Reason = Reason.VALIDATION) -> TrunklineError:
    """One field of the request is wrong; `path` is relative to the request message."""
    return TrunklineError(reason, f"{path}: {description}", violations=(FieldViolation(path, description),))


def not_found(type_: str, name: str, reason: Reason = Reason.RESOURCE_NOT_FOUND) -> TrunklineError:
    """The same answer for what does not exist and for what belongs to another tenant."""
    return TrunklineError(reason, f"{type_} {name!r} does not exist", resource=Resource(type_, name))


def draining() -> TrunklineError:
    """For streams without an end of their own."""
    return TrunklineError(Reason.DRAINING, "this replica goes away", retry_after_s=1.0)


def store_unavailable() -> TrunklineError:
    """The database did not answer in time; nothing was decided that was not told."""
    return TrunklineError(Reason.STORE_UNAVAILABLE, "the store does not answer, try again", retry_after_s=1.0)
