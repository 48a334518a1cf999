"""What the provider's errors mean: a word in `detail`, or a list of what is wrong. An empty account is a 401 here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from trunkline_server.core.failure import FailureKind, UpstreamFailure, of_status

WORDS: Final[Mapping[str, FailureKind]] = {
    "quota_exceeded": FailureKind.QUOTA,
    "insufficient_credits": FailureKind.QUOTA,
    "payment_required": FailureKind.QUOTA,
    "invalid_api_key": FailureKind.AUTH,
    "missing_api_key": FailureKind.AUTH,
    "needs_authorization": FailureKind.AUTH,
    "missing_permissions": FailureKind.AUTH,
    "detected_unusual_activity": FailureKind.AUTH,
    "too_many_concurrent_requests": FailureKind.THROTTLED,
    "concurrent_limit_exceeded": FailureKind.THROTTLED,
    "rate_limit_exceeded": FailureKind.THROTTLED,
    "system_busy": FailureKind.THROTTLED,
    "model_not_found": FailureKind.MODEL_UNKNOWN,
    "max_character_limit_exceeded": FailureKind.CONTEXT_TOO_LONG,
    "text_too_long": FailureKind.CONTEXT_TOO_LONG,
    "content_against_policy": FailureKind.FILTERED,
    "voice_not_found": FailureKind.INVALID,
    "invalid_uid": FailureKind.INVALID,
}


class Detail(msgspec.Struct):
    """`status` is the older name, `code` and `type` the newer ones."""

    status: str | None = None
    code: str | None = None
    type: str | None = None


class Error(msgspec.Struct):
    """The body of a failure."""

    detail: Detail | str | list[msgspec.Raw] | None = None


ERROR: Final = msgspec.json.Decoder(Error)


def of_body(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """What a status that is not 2xx means."""
    words = _words(body)
    known = next((WORDS[word] for word in words if word in WORDS), None)
    return of_status(status, headers, known or _by_status(status), next(iter(words), ""))


def _by_status(status: int) -> FailureKind | None:
    """A place that does not exist is a voice more often than a model."""
    return FailureKind.INVALID if status == 404 else None


def _words(body: bytes) -> tuple[str, ...]:
    try:
        detail = ERROR.decode(body).detail
    except (ValueError, RecursionError):
        return ()
    told = (detail.status, detail.code, detail.type) if isinstance(detail, Detail) else ()
    return tuple(word for word in told if word)
