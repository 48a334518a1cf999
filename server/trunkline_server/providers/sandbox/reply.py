"""HTTP answers that are still to be sent: pieces of bytes, each with the pause before it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Final, NamedTuple

import orjson

from trunkline_server.core.failure import FailureKind, UpstreamFailure

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"

_PADDING_BYTES: Final = 64 * 1024
_SPACES: Final = b" " * _PADDING_BYTES
_COMMENT: Final = b":".ljust(_PADDING_BYTES - 1) + b"\n"
_ERROR_WORDS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("invalid_request_error", "invalid_request"),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "permission_denied"),
    404: ("invalid_request_error", "not_found"),
    429: ("requests", "rate_limit_exceeded"),
    529: ("overloaded_error", "overloaded"),
}
_MALFORMED: Final[Mapping[str, bytes]] = {
    "json": b'{"id": "chatcmpl-sandbox", "choices": [{"index": 0, "de',
    "types": b'{"id": 7, "choices": "none"}',
    "utf8": b'{"id": "chatcmpl-\xff\xfe", "choices": [{"index": 0, "delta": {"content": "\xc3\x28"}}]}',
    "html": b"<!doctype html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>",
    "empty": b"",
}


class Piece(NamedTuple):
    """Bytes that arrive together, after a pause."""

    data: bytes
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """`pieces` may raise the UpstreamFailure that ends the body; `pause_s` comes before the status."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterable[Piece]
    pause_s: float = 0.0


def body(value: object, status: int = 200, headers: Mapping[str, str] | None = None, pause_s: float = 0.0) -> Reply:
    """JSON in one piece."""
    return Reply(status, {"content-type": JSON, **(headers or {})}, [Piece(orjson.dumps(value))], pause_s)


def error(status: int, code: str = "", message: str = "the sandbox was told to fail") -> Mapping[str, object]:
    """What went wrong, in the dialect's shape; without a `code` the one that fits the status."""
    kind, usual = _ERROR_WORDS.get(status, ("server_error", "server_error"))
    return {"error": {"message": message, "type": kind, "param": None, "code": code or usual}}


def malformed(kind: str, *, stream: bool, pause_s: float = 0.0) -> Reply:
    """A body that says it is one thing and is not."""
    data, content_type = _MALFORMED[kind], EVENTS if stream else JSON
    if kind == "html":
        content_type = HTML
    elif stream and data:
        data = event(data)
    return Reply(200, {"content-type": content_type}, [Piece(data)], pause_s)


def event(data: bytes) -> bytes:
    """One server-sent event."""
    return b"data: " + data + b"\n\n"


def padding(count_bytes: int, *, stream: bool, endless: bool = False) -> Iterator[Piece]:
    """At least so many bytes that say nothing: comments of a stream, spaces before a body."""
    block = Piece(_COMMENT if stream else _SPACES)
    return repeat(block) if endless else repeat(block, -(-count_bytes // _PADDING_BYTES))


def broken_off(fault: str, error_data: bytes) -> Iterator[Piece]:
    """How a body ends before its time."""
    match fault:
        case "stall_after":
            yield Piece(b"", math.inf)
        case "error_in_stream":
            yield Piece(error_data)
        case "reset_after":
            raise UpstreamFailure(FailureKind.INTERRUPTED, 200)
        case _:  # cut: nothing more comes
            return
