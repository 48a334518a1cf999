"""Errors as OpenAI's clients know them: the status decides which exception they raise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.door.boundary import Visit
from trunkline_server.door.status import MESSAGE_CHARS_MAX
from trunkline_server.edge.exchange import Reply
from trunkline_server.edge.facts import error_headers
from trunkline_server.edge.router import JSON
from trunkline_server.edge.status import http_status

_QUOTA: Final = frozenset((Reason.CREDIT_INSUFFICIENT, Reason.BUDGET_EXCEEDED))
_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
_CODES: Final[Mapping[Reason, str]] = {
    Reason.AUTH_MISSING: "invalid_api_key",
    Reason.AUTH_INVALID: "invalid_api_key",
    Reason.CONTEXT_TOO_LONG: "context_length_exceeded",
    Reason.CREDIT_INSUFFICIENT: "insufficient_quota",
    Reason.BUDGET_EXCEEDED: "insufficient_quota",
    Reason.RATE_LIMITED: "rate_limit_exceeded",
    Reason.CONTENT_BLOCKED: "content_policy_violation",
}


def status_of(error: TrunklineError) -> int:
    """OpenAI tells a spent account as 429."""
    return 429 if error.reason in _QUOTA else http_status(error)


def describe(error: TrunklineError) -> dict[str, Any]:
    status = status_of(error)
    kind = "server_error" if status >= 500 else _TYPES.get(status, "invalid_request_error")
    return {
        "message": error.message[:MESSAGE_CHARS_MAX],
        "type": "insufficient_quota" if error.reason in _QUOTA else kind,
        "param": _param(error),
        "code": _CODES.get(error.reason, error.reason.value.lower()),
    }


def refuse(visit: Visit, error: TrunklineError) -> Reply:
    body = orjson.dumps({"error": describe(error)})
    return Reply(status_of(error), (*JSON, *error_headers(visit, error)), body)


def _param(error: TrunklineError) -> str | None:
    """`input.sampling.temperature` is called `temperature` there."""
    if not error.violations:
        return None
    return error.violations[0].field.removeprefix("input.").removeprefix("sampling.")
