"""How much of everything a connection may take."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds, sizes in bytes."""

    connections_max: int = 1000
    body_bytes_max: int = 12 * 1024 * 1024
    head_bytes_max: int = 32 * 1024
    head_s: float = 10.0
    """From the first byte of a request to the end of its headers; also how long a new connection may say nothing."""
    body_s: float = 60.0
    idle_s: float = 75.0
    """Between requests; also how long the rest of an answer may wait for its reader."""


@dataclass(slots=True)
class Traffic:
    """What went through since the start."""

    open_connections: int = 0
    connections: int = 0
    refused_connections: int = 0
    requests: int = 0
    failures: int = 0
    """Answers with a status of 500 or above."""
    received_bytes: int = 0
    sent_bytes: int = 0
    open_streams: dict[str, int] = field(default_factory=lambda: {"sse": 0, "websocket": 0})
    streams: dict[str, int] = field(default_factory=lambda: {"sse": 0, "websocket": 0})
