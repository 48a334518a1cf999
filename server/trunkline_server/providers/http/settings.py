"""How patient the client is, and how much it takes."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """`connect_timeout_s` covers everything before the request is sent. `ca_file` adds to the system's authorities.
    A connection waits for the next request for `keep_alive_s`, and begins none that is older than `age_s_max`."""

    connect_timeout_s: float = 5.0
    read_timeout_s: float = 300.0
    keep_alive_s: float = 30.0
    age_s_max: float = math.inf
    connections_max: int = 256
    body_bytes_max: int = 32 * 1024 * 1024
    ca_file: str = ""
