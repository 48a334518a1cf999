"""What the provider's errors mean: a text, a list of what is wrong with which field, or no JSON at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from trunkline_server.core.failure import FailureKind, UpstreamFailure, of_status

TYPES: Final[Mapping[str, FailureKind]] = {
    "content_policy_violation": FailureKind.FILTERED,
    "no_media_generated": FailureKind.FILTERED,
    "insufficient_balance": FailureKind.QUOTA,
    "request_timeout": FailureKind.TRANSIENT,
    "startup_timeout": FailureKind.TRANSIENT,
    "generation_timeout": FailureKind.TRANSIENT,
    "runner_scheduling_failure": FailureKind.TRANSIENT,
    "runner_connection_timeout": FailureKind.TRANSIENT,
    "runner_disconnected": FailureKind.TRANSIENT,
    "runner_connection_refused": FailureKind.TRANSIENT,
    "runner_connection_error": FailureKind.TRANSIENT,
    "runner_incomplete_response": FailureKind.TRANSIENT,
    "runner_server_error": FailureKind.TRANSIENT,
    "internal_server_error": FailureKind.TRANSIENT,
    "downstream_service_error": FailureKind.TRANSIENT,
    "downstream_service_unavailable": FailureKind.TRANSIENT,
    "client_disconnected": FailureKind.TRANSIENT,
    "client_cancelled": FailureKind.INVALID,
    "bad_request": FailureKind.INVALID,
}
TEXTS: Final = (
    (r"exhausted balance|user is locked|insufficient (balance|funds|credits)", FailureKind.QUOTA),
    (
        r"no user found|invalid (key|token|api key)|authentication is required|cannot access application",
        FailureKind.AUTH,
    ),
    (r"(application|app|model|path)\b.{0,200}\bnot found|^404: not found", FailureKind.MODEL_UNKNOWN),
    (r"content (policy|checker)|nsfw|\bflagged\b", FailureKind.FILTERED),
)
PATTERNS: Final = tuple((re.compile(text, re.IGNORECASE), kind) for text, kind in TEXTS)
TEXT_CHARS_MAX: Final = 4096
GATEWAY_ERRORS: Final = frozenset({502, 503, 504})
NOTHING: Final = Raw(b"null")


class Fault(Struct):
    """What is wrong with one field."""

    msg: str | None = None
    type: str | None = None


class Error(Struct):
    """The body of a failure."""

    detail: Raw = NOTHING
    error_type: str | None = None


_ERROR: Final = msgspec.json.Decoder(Error)
_FAULTS: Final = msgspec.json.Decoder(list[Fault] | str)


def of_body(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """What a status that is not 2xx means."""
    text, word = _told(body)
    word = headers.get("x-fal-error-type") or word
    failure = of_status(status, headers, TYPES.get(word) or _by_text(text) or _by_status(status), word, text)
    if _is_final(status, headers):
        failure.should_retry = False
    return failure


def of_status_error(error: str, error_type: str) -> UpstreamFailure:
    """Why a request that is over has come to nothing; without a word for it the provider is to blame."""
    kind = TYPES.get(error_type) or _by_text(error[:TEXT_CHARS_MAX]) or FailureKind.TRANSIENT
    return UpstreamFailure(kind, 200, error_type)


def _by_text(text: str) -> FailureKind | None:
    return next((kind for pattern, kind in PATTERNS if pattern.search(text)), None)


def _by_status(status: int) -> FailureKind | None:
    return FailureKind.MODEL_UNKNOWN if status == 404 else None


def _is_final(status: int, headers: Mapping[str, str]) -> bool:
    """Whether the request itself has run and failed, or ran into the time that it was given."""
    ran = status in GATEWAY_ERRORS and "x-fal-request-id" in headers
    return ran or headers.get("x-fal-request-timeout-type") == "user"


def _told(body: bytes) -> tuple[str, str]:
    """What it says, and its word."""
    try:
        error = _ERROR.decode(body)
        detail = _FAULTS.decode(error.detail) if bytes(error.detail) != b"null" else ""
    except (ValueError, RecursionError):
        return body[:TEXT_CHARS_MAX].decode(errors="replace"), ""
    if isinstance(detail, str):
        return detail[:TEXT_CHARS_MAX], error.error_type or ""
    first = detail[0] if detail else Fault()
    return (first.msg or "")[:TEXT_CHARS_MAX], error.error_type or first.type or ""
