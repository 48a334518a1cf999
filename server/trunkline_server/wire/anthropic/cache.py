"""Marks up to which the provider keeps the prompt in its cache: for five minutes, or for an hour."""

from __future__ import annotations

from typing import Final

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask

TTLS: Final = {0: "", 300: "5m", 3600: "1h"}


def mark(
    ask: Ask, block: dict[str, object], hinted: content_pb2.Part | content_pb2.Tool, path: str
) -> dict[str, object]:
    """Put the caller's cache hint on the block of a part or a tool."""
    if hinted.HasField("cache_hint"):
        ttl = _ttl(ask, hinted.cache_hint.ttl_seconds, f"{path}.cache_hint.ttl_seconds")
        block["cache_control"] = {"type": "ephemeral", "ttl": ttl} if ttl else {"type": "ephemeral"}
    return block


def _ttl(ask: Ask, ttl_s: int, path: str) -> str:
    if ttl_s in TTLS:
        return TTLS[ttl_s]
    ttl = "5m" if ttl_s < 3600 else "1h"
    ask.adjust(path, f"moved to {ttl}: the provider offers 300 and 3600 seconds")
    return ttl
