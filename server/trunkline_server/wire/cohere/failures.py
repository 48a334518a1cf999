"""What the provider's errors mean. They are one sentence, and sometimes a word; both are forgotten once read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trunkline_server.core.failure import FailureKind, UpstreamFailure, of_status
from trunkline_server.wire.cohere.shapes import ERROR, Error

WORDS: Final[Mapping[str, FailureKind]] = {
    "INVALID_TOOL_GENERATION": FailureKind.BROKEN,  # the model wrote a call that the provider cannot read
    "TIMEOUT": FailureKind.TRANSIENT,
}
TEXTS: Final = (
    (r"max tokens must be less than", FailureKind.INVALID),
    (r"too many tokens", FailureKind.CONTEXT_TOO_LONG),
    (r"(invalid|no) api (key|token)|api key has expired", FailureKind.AUTH),
    (r"(calls|requests) ?(/|per) ?month|payment method|billing", FailureKind.QUOTA),
    (r"rate limit|past the per \w+ request limit", FailureKind.THROTTLED),
    (r"model\b.{0,200}\b(not found|was removed|is deprecated)", FailureKind.MODEL_UNKNOWN),
)
PATTERNS: Final = tuple((re.compile(text, re.IGNORECASE), kind) for text, kind in TEXTS)
STATUSES: Final[Mapping[int, FailureKind]] = {
    404: FailureKind.MODEL_UNKNOWN,
    498: FailureKind.FILTERED,  # question or answer holds what the provider's deny list names
    499: FailureKind.TRANSIENT,  # the provider gave up on it
}
TEXT_CHARS_MAX: Final = 4096


def of_body(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """What a status that is not 2xx means."""
    error = _read(body)
    return of_status(status, headers, _kind(error) or STATUSES.get(status), error.error_type or "", error.message or "")


def of_event(data: bytes) -> UpstreamFailure:
    """What an error event means in a stream that began as a good one."""
    error = _read(data)
    return of_error(error.error_type or "", error.message or "")


def of_error(word: str, text: str) -> UpstreamFailure:
    """What an error means that comes inside status 200."""
    return UpstreamFailure(_kind(Error(text, word)) or FailureKind.TRANSIENT, 200, word)


def _kind(error: Error) -> FailureKind | None:
    """The class where the body knows better than the status."""
    text = (error.message or "")[:TEXT_CHARS_MAX]
    by_text = next((kind for pattern, kind in PATTERNS if pattern.search(text)), None)
    return WORDS.get(error.error_type or "") or by_text


def _read(body: bytes) -> Error:
    try:
        return ERROR.decode(body)
    except (ValueError, RecursionError):
        return Error(body.decode(errors="replace"))
