"""What the server's errors mean. They are one sentence, which is forgotten once its class is found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from trunkline_server.core.failure import FailureKind, UpstreamFailure, of_status

TEXTS: Final = (
    (r"does not support", FailureKind.INVALID),
    (r"usage limit", FailureKind.QUOTA),
    (r"unauthorized|invalid api key", FailureKind.AUTH),
    (r"context (length|window|size)|prompt (is )?too long", FailureKind.CONTEXT_TOO_LONG),
    (r"model\b.{0,300}\bnot found", FailureKind.MODEL_UNKNOWN),
    (r"server busy|maximum pending requests|too many (concurrent )?requests|overloaded", FailureKind.THROTTLED),
)
PATTERNS: Final = tuple((re.compile(text, re.IGNORECASE), kind) for text, kind in TEXTS)
TEXT_CHARS_MAX: Final = 4096
STREAMED_STATUS: Final = 500  # what the server would have answered, had it not begun with 200


def of_body(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """What a status that is not 2xx means."""
    by_place = FailureKind.MODEL_UNKNOWN if status == 404 else None
    text = _text(_parse(body))
    return of_status(status, headers, _kind(text) or by_place, text=text)


def of_error(error: object) -> UpstreamFailure:
    """What an error means that comes inside status 200."""
    return of_status(STREAMED_STATUS, {}, _kind(_text(error)))


def _kind(text: str) -> FailureKind | None:
    return next((kind for pattern, kind in PATTERNS if pattern.search(text)), None)


def _parse(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")


def _text(error: object) -> str:
    """The sentence, however it is wrapped: what stands in front of the server has an object of its own for it."""
    for key in ("error", "message"):
        if isinstance(error, dict):
            error = error.get(key, error)
    return error[:TEXT_CHARS_MAX] if isinstance(error, str) else ""
