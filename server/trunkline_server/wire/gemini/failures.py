"""What the provider's errors mean. They are google.rpc statuses; the code alone misleads: a bad key is a 400 here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

import msgspec

from trunkline_server.core.failure import FailureKind, UpstreamFailure, of_status
from trunkline_server.core.pause import duration_s
from trunkline_server.wire.gemini.shapes import Error, ErrorBody, ErrorDetail

STATUS_KINDS: Final[Mapping[str, FailureKind]] = {
    "INVALID_ARGUMENT": FailureKind.INVALID,
    "FAILED_PRECONDITION": FailureKind.INVALID,
    "OUT_OF_RANGE": FailureKind.INVALID,
    "UNIMPLEMENTED": FailureKind.INVALID,
    "NOT_FOUND": FailureKind.INVALID,
    "UNAUTHENTICATED": FailureKind.AUTH,
    "PERMISSION_DENIED": FailureKind.AUTH,
    "RESOURCE_EXHAUSTED": FailureKind.THROTTLED,
    "ABORTED": FailureKind.TRANSIENT,
    "CANCELLED": FailureKind.TRANSIENT,
    "DEADLINE_EXCEEDED": FailureKind.TRANSIENT,
    "INTERNAL": FailureKind.TRANSIENT,
    "UNAVAILABLE": FailureKind.TRANSIENT,
    "UNKNOWN": FailureKind.TRANSIENT,
}
REASON_KINDS: Final = (
    (re.compile(r"BILLING|CONSUMER_SUSPENDED"), FailureKind.QUOTA),
    (
        re.compile(r"API_KEY|ACCESS_TOKEN|CREDENTIALS|SERVICE_DISABLED|CONSUMER_INVALID|USER_PROJECT_DENIED"),
        FailureKind.AUTH,
    ),
)
MESSAGE_KINDS: Final = (
    (
        re.compile(r"api key (?:not valid|expired|not found)|unregistered callers|reported as leaked", re.IGNORECASE),
        FailureKind.AUTH,
    ),
    (re.compile(r"user location is not supported|enable billing", re.IGNORECASE), FailureKind.AUTH),
    (re.compile(r"credits? (?:are|is) depleted|spending cap|spend limit", re.IGNORECASE), FailureKind.QUOTA),
    (re.compile(r"(?:input )?token count.{0,40} exceeds the maximum", re.IGNORECASE), FailureKind.CONTEXT_TOO_LONG),
    (re.compile(r"cached ?content not found|access the file", re.IGNORECASE), FailureKind.INVALID),
    (
        re.compile(r"\b(?:tuned)?models?/\S+ is not (?:found|supported)|model.{0,80} not found", re.IGNORECASE),
        FailureKind.MODEL_UNKNOWN,
    ),
    (re.compile(r"no longer available to new users", re.IGNORECASE), FailureKind.MODEL_UNKNOWN),
    (re.compile(r"overloaded|high demand", re.IGNORECASE), FailureKind.THROTTLED),
)
DAILY: Final = re.compile(r"PerDay")

Shape = TypeVar("Shape")

_BODY = msgspec.json.Decoder(ErrorBody, strict=False)
_BODIES = msgspec.json.Decoder(list[ErrorBody], strict=False)
_ERROR = msgspec.json.Decoder(Error, strict=False)
_DETAIL = msgspec.json.Decoder(ErrorDetail, strict=False)


def of_body(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """What a status that is not 2xx means."""
    return _of_error(status, headers, read_error(body))


def of_error_object(error: msgspec.Raw) -> UpstreamFailure:
    """What an error object in the middle of a good answer means."""
    told = _decode(_ERROR, bytes(error)) or Error()
    status = told.code if told.code is not None and 400 <= told.code < 600 else 500
    return _of_error(status, {}, told)


def read_error(body: bytes) -> Error:
    """The error in a body, alone or in a list; an empty one where there is none to read."""
    listed = _decode(_BODIES, body) if body.lstrip().startswith(b"[") else [_decode(_BODY, body)]
    first = next(iter(listed or ()), None)
    return (first.error if first else None) or Error()


def _of_error(status: int, headers: Mapping[str, str], error: Error) -> UpstreamFailure:
    details = list(_details(error))
    reason = next((each.reason for each in details if each.reason), "")
    failed = of_status(
        status, headers, _kind(error, reason, details), reason or error.status or "", error.message or ""
    )
    delay = next((each.retry_delay for each in details if each.retry_delay), "")
    if "retry-after" not in headers and status in (429, 503):
        failed.retry_after_s = duration_s(delay) or failed.retry_after_s
    return failed


def _kind(error: Error, reason: str, details: list[ErrorDetail]) -> FailureKind | None:
    """The most exact word wins: the reason, then the message, then the quota, then the status."""
    for pattern, kind in REASON_KINDS:
        if pattern.search(reason):
            return kind
    for pattern, kind in MESSAGE_KINDS:
        if pattern.search(error.message or ""):
            return kind
    if any(_is_spent(each) for each in details):
        return FailureKind.QUOTA
    return STATUS_KINDS.get(error.status or "")


def _is_spent(detail: ErrorDetail) -> bool:
    """Whether a quota is one that does not come back within minutes."""
    violations = detail.violations or ()
    return any(DAILY.search(each.quota_id or "") or each.quota_value == "0" for each in violations)


def _details(error: Error) -> Iterator[ErrorDetail]:
    for each in error.details or ():
        detail = _decode(_DETAIL, bytes(each))
        if detail is not None:
            yield detail


def _decode(decoder: msgspec.json.Decoder[Shape], data: bytes) -> Shape | None:
    try:
        return decoder.decode(data)
    except (ValueError, RecursionError):
        return None
