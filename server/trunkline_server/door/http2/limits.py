"""What one connection may ask of us, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest message is that of a request, also after it was unpacked."""

    receive_bytes_max: int = 4 * 1024 * 1024
    held_bytes_max: int = 64 * 1024 * 1024
    """Of all requests of one connection that nobody has taken yet."""
    streams_max: int = 1000
    header_bytes_max: int = 16 * 1024
    stream_window_bytes: int = 256 * 1024
    connection_window_bytes: int = 1024 * 1024

    handshake_s: float = 5.0
    request_s: float = 60.0
    """Until a request that is one message is whole."""
    linger_s: float = 0.25
    """How long an upload that failed is still heard out."""
    stuck_s: float = 30.0
    """Without the other end taking anything of what we have to send."""
    keepalive_s: float = 30.0
    keepalive_timeout_s: float = 10.0
    ping_interval_s_min: float = 10.0
    idle_s: float = 900.0
    age_s: float = 1800.0
    """Until a connection is asked to come again, a tenth more or less."""
    age_grace_s: float = 660.0
    tick_s: float = 1.0
    """How often all this is looked at."""
