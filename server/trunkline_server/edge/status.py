"""Errors as HTTP tells them: codes of Connect, and the status behind each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.door.status import CODES

_STATUSES: Final[Mapping[str, int]] = {
    "canceled": 499,
    "invalid_argument": 400,
    "deadline_exceeded": 504,
    "not_found": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "resource_exhausted": 429,
    "failed_precondition": 400,
    "aborted": 409,
    "out_of_range": 400,
    "internal": 500,
    "unavailable": 503,
    "unauthenticated": 401,
}


class BodyTooLarge(TrunklineError):
    """The request is longer than this door takes."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(Reason.VALIDATION, f"the request is longer than {bytes_max} bytes")


def code_of(error: TrunklineError) -> str:
    """The word that Connect has for it."""
    name = CODES[error.reason].name.lower()
    return "canceled" if name == "cancelled" else name


def http_status(error: TrunklineError) -> int:
    return 413 if isinstance(error, BodyTooLarge) else _STATUSES[code_of(error)]


def number_of(error: TrunklineError) -> int:
    """The number that gRPC has for it."""
    return CODES[error.reason].value
