"""What the Messages API means when it fails; the body knows more than the status."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trunkline_server.core.failure import FailureKind, UpstreamFailure, of_status
from trunkline_server.wire.anthropic.shapes import ERROR, Error

KINDS: Final[Mapping[str, FailureKind]] = {
    "invalid_request_error": FailureKind.INVALID,
    "request_too_large": FailureKind.INVALID,
    "not_found_error": FailureKind.INVALID,
    "authentication_error": FailureKind.AUTH,
    "permission_error": FailureKind.AUTH,
    "billing_error": FailureKind.QUOTA,
    "rate_limit_error": FailureKind.THROTTLED,
    "overloaded_error": FailureKind.THROTTLED,
    "timeout_error": FailureKind.TRANSIENT,
    "api_error": FailureKind.TRANSIENT,
}

# One error type covers many causes, and only its sentence tells them apart.
_SENTENCES: Final = tuple(
    (type_, re.compile(sentence, re.IGNORECASE), kind)
    for type_, sentence, kind in (
        ("invalid_request_error", r"prompt is too long|context (limit|window)", FailureKind.CONTEXT_TOO_LONG),
        ("invalid_request_error", r"credit balance|usage limits?\b", FailureKind.QUOTA),
        ("invalid_request_error", r"content filtering policy", FailureKind.FILTERED),
        ("not_found_error", r"^\s*model\b", FailureKind.MODEL_UNKNOWN),
    )
)


def of_body(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """What a status that is not 2xx means."""
    error = _read(body)
    return of_status(status, headers, _kind(error), error.type, error.message or "")


def of_error(error: Error) -> UpstreamFailure:
    """What an error means that comes inside an answer which began as a good one."""
    return UpstreamFailure(_kind(error) or FailureKind.BROKEN, 200, error.type)


def _read(body: bytes) -> Error:
    try:
        return ERROR.decode(body).error or Error()
    except (ValueError, RecursionError):
        return Error()


def _kind(error: Error) -> FailureKind | None:
    for type_, sentence, kind in _SENTENCES:
        if error.type == type_ and sentence.search(error.message or ""):
            return kind
    return KINDS.get(error.type)
