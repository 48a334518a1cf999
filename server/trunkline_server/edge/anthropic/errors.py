"""Errors as Anthropic's clients know them."""

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

_OWN: Final[Mapping[Reason, int]] = {
    Reason.CREDIT_INSUFFICIENT: 402,
    Reason.BUDGET_EXCEEDED: 402,
    Reason.OVERLOADED: 529,
}
_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def status_of(error: TrunklineError) -> int:
    return _OWN.get(error.reason) or http_status(error)


def describe(error: TrunklineError, request_id: str) -> dict[str, Any]:
    status = status_of(error)
    kind = _TYPES.get(status) or ("api_error" if status >= 500 else "invalid_request_error")
    told: dict[str, Any] = {"type": kind, "message": error.message[:MESSAGE_CHARS_MAX]}
    if error.reason is Reason.RESOURCE_NOT_FOUND and error.resource is not None:
        told["details"] = {"error_code": f"{error.resource.type}_not_found"}
    return {"type": "error", "error": told, "request_id": request_id}


def refuse(visit: Visit, error: TrunklineError) -> Reply:
    request_id = visit.call.request_id
    headers = (*JSON, ("request-id", request_id), *error_headers(visit, error))
    return Reply(status_of(error), headers, orjson.dumps(describe(error, request_id)))
