"""What the provider's errors mean. They have a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from trunkline_server.core.failure import FailureKind, UpstreamFailure, of_status

NAMES: Final[Mapping[str, FailureKind]] = {
    "unauthorized": FailureKind.AUTH,
    "content_moderation": FailureKind.FILTERED,
    "payment_required": FailureKind.QUOTA,
    "insufficient_balance": FailureKind.QUOTA,
    "rate_limit_exceeded": FailureKind.THROTTLED,
    "bad_request": FailureKind.INVALID,
    "invalid_prompts": FailureKind.FILTERED,
    "payload_too_large": FailureKind.INVALID,
    "internal_error": FailureKind.TRANSIENT,
    "server_error": FailureKind.TRANSIENT,
}


class Error(Struct):
    """The body of a failure."""

    name: str | None = None


_ERROR: Final = msgspec.json.Decoder(Error)


def of_body(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """What a status that is not 2xx means."""
    try:
        name = _ERROR.decode(body).name or ""
    except (ValueError, RecursionError):
        name = ""
    return of_status(status, headers, NAMES.get(name) or _by_status(status), name)


def _by_status(status: int) -> FailureKind | None:
    return FailureKind.MODEL_UNKNOWN if status == 404 else None
