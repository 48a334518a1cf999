"""Server-sent events."""

from __future__ import annotations

from typing import Final

from trunkline_server.edge.exchange import Headers

HEADERS: Final[Headers] = (
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-store"),
    ("x-accel-buffering", "no"),
)
HEARTBEAT: Final = b": alive\n\n"


def event(data: bytes, name: str = "", id: str = "") -> bytes:
    """`data` is one line."""
    head = (f"event: {name}\n" if name else "") + (f"id: {id}\n" if id else "")
    return head.encode("ascii") + b"data: " + data + b"\n\n"
