"""Reads errors: nested, flat, lists or plain text. What they say is used to find the class, and then forgotten."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from trunkline_server.core.failure import FailureKind, UpstreamFailure, of_status
from trunkline_server.core.pause import in_text

WORDS: Final = {
    "insufficient_quota": FailureKind.QUOTA,
    "billing_hard_limit_reached": FailureKind.QUOTA,
    "billing_not_active": FailureKind.QUOTA,
    "account_deactivated": FailureKind.AUTH,
    "authentication_error": FailureKind.AUTH,
    "invalid_api_key": FailureKind.AUTH,
    "rate_limit_exceeded": FailureKind.THROTTLED,
    "ratelimitreached": FailureKind.THROTTLED,
    "rate_limited": FailureKind.THROTTLED,
    "rate_limit_error": FailureKind.THROTTLED,
    "overloaded": FailureKind.THROTTLED,
    "overloaded_error": FailureKind.THROTTLED,
    "engine_overloaded": FailureKind.THROTTLED,
    "server_error": FailureKind.TRANSIENT,
    "internal_error": FailureKind.TRANSIENT,
    "internal_server_error": FailureKind.TRANSIENT,
    "service_unavailable": FailureKind.TRANSIENT,
    "context_length_exceeded": FailureKind.CONTEXT_TOO_LONG,
    "exceed_context_size_error": FailureKind.CONTEXT_TOO_LONG,
    "model_not_found": FailureKind.MODEL_UNKNOWN,
    "invalid_model": FailureKind.MODEL_UNKNOWN,
    "model_decommissioned": FailureKind.MODEL_UNKNOWN,
    "deploymentnotfound": FailureKind.MODEL_UNKNOWN,
    "content_filter": FailureKind.FILTERED,
    "content_policy_violation": FailureKind.FILTERED,
    "moderation_blocked": FailureKind.FILTERED,
    "responsibleaipolicyviolation": FailureKind.FILTERED,
    "invalid_prompt": FailureKind.FILTERED,
    "tool_use_failed": FailureKind.BROKEN,  # the model wrote a call that the provider cannot read
    "validation": FailureKind.INVALID,
    "invalid_request_error": FailureKind.INVALID,
}
VAGUE: Final = {  # the status and the text say more
    "invalid_request_error",
    "rate_limit_exceeded",
    "authentication_error",
    "server_error",
    "internal_error",
    "internal_server_error",
    "service_unavailable",
    "validation",
}
TEXTS: Final = (
    (r"exceeded your current quota|credit balance|spending limit|out of credits|available credits", FailureKind.QUOTA),
    (r"(incorrect|invalid|no) api key", FailureKind.AUTH),
    (
        r"maximum prompt length|context (length|window|size)|prompt (is )?too long|too many tokens",
        FailureKind.CONTEXT_TOO_LONG,
    ),
    (r"model\b.{0,200}\b(does not exist|not found|decommissioned)|not a valid model", FailureKind.MODEL_UNKNOWN),
    (r"content management policy|content policy|\bflagged\b", FailureKind.FILTERED),
    (r"rate limit|overloaded|capacity exceeded|too many requests", FailureKind.THROTTLED),
)
PATTERNS: Final = tuple((re.compile(text, re.IGNORECASE), kind) for text, kind in TEXTS)
TOO_LARGE: Final = re.compile(r"request too large", re.IGNORECASE)
TEXT_CHARS_MAX: Final = 4096


class Told(NamedTuple):
    """What an error says about itself."""

    words: tuple[str, ...] = ()
    param: str = ""
    status: int = 0
    text: str = ""
    headers: Mapping[str, str] = {}
    """Of a provider behind the provider."""


def of_body(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """What a status that is not 2xx means."""
    return _failure(status, headers, _told(_parse(body)))


def of_event(data: bytes) -> UpstreamFailure:
    """An error event in a stream that began with status 200."""
    return of_error(_parse(data))


def of_error(error: object, type_: str | None = None) -> UpstreamFailure:
    """An error inside status 200; it may know the status that it would have had. `type_` is what stands beside it."""
    told = _told({"error": error, "error_type": type_} if type_ else error)
    return _failure(told.status or 200, {}, told)


def _failure(status: int, headers: Mapping[str, str], told: Told) -> UpstreamFailure:
    failure = of_status(status, {**told.headers, **headers}, _kind(status, told), next(iter(told.words), ""), told.text)
    if failure.kind is FailureKind.THROTTLED and failure.retry_after_s is None:  # also inside of status 200
        failure.retry_after_s = in_text(told.text)
    if failure.kind is FailureKind.THROTTLED and TOO_LARGE.search(told.text):
        failure.should_retry = False
    return failure


def _kind(status: int, told: Told) -> FailureKind | None:
    """The class where the body knows better than the status."""
    known = [word.lower() for word in told.words if word.lower() in WORDS]
    sharp = next((WORDS[word] for word in known if word not in VAGUE), None)
    if sharp is not None or status in {401, 402}:
        return sharp
    vague = next((WORDS[word] for word in known), None) if status < 400 else None
    return _by_text(told.text) or _by_place(status, told) or vague


def _by_text(text: str) -> FailureKind | None:
    return next((kind for pattern, kind in PATTERNS if pattern.search(text)), None)


def _by_place(status: int, told: Told) -> FailureKind | None:
    return FailureKind.MODEL_UNKNOWN if status == 404 or told.param == "model" else None


def _parse(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")


def _unwrap(error: object) -> object:
    """The innermost of the few wrappings that are seen."""
    for _ in range(4):
        if isinstance(error, list):
            error = error[0] if error else ""
        elif isinstance(error, dict) and isinstance(error.get("error"), dict | list):
            error = error["error"]
    return error


def _told(wrapped: object) -> Told:
    """The facts of an error, however it is wrapped."""
    error = _unwrap(wrapped)
    if not isinstance(error, dict):
        return Told(text=_text(error))
    words = (error.get("code"), error.get("type"), error.get("error_type"))
    return Told(
        words=tuple(word for word in words if word and isinstance(word, str)),
        param=_text(error.get("param")),
        status=_status(error),
        text=" ".join(_text(error.get(key)) for key in ("message", "error", "detail")),
        headers=_headers(error.get("metadata")),
    )


def _headers(metadata: object) -> Mapping[str, str]:
    told = metadata.get("headers") if isinstance(metadata, dict) else None
    return {str(name).lower(): str(value) for name, value in told.items()} if isinstance(told, dict) else {}


def _status(error: Mapping[object, object]) -> int:
    codes = (error.get("status_code"), error.get("code"), error.get("status"))
    return next((code for code in codes if isinstance(code, int) and 400 <= code <= 599), 0)


def _text(value: object) -> str:
    return value[:TEXT_CHARS_MAX] if isinstance(value, str) else ""
