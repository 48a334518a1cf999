"""Names for things: a prefix that tells the kind, then a time-ordered UUID in 32 hex digits."""

from __future__ import annotations

import os
import re
import time
from uuid import UUID

from trunkline_server.core.errors import not_found

# One spelling for one id: `UUID` alone would also read capitals, hyphens and braces.
_DIGITS = re.compile(r"[0-9a-f]{32}")


def new_uuid() -> UUID:
    """A UUID version 7 (RFC 9562): milliseconds since 1970 in front, random behind, so that indexes grow at one end."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    return UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)


def made_ms(id_: UUID) -> int:
    """When one of ours was made, in milliseconds since 1970."""
    return id_.int >> 80


def spell(prefix: str, id_: UUID) -> str:
    """`("cmpl", UUID)` as callers see it: `cmpl_018f...`."""
    return f"{prefix}_{id_.hex}"


def parse(prefix: str, text: str) -> UUID | None:
    """The UUID in a spelled id, or None where it is not one of this kind."""
    kind, _, digits = text.rpartition("_")
    return UUID(hex=digits) if kind == prefix and _DIGITS.fullmatch(digits) else None


def require(prefix: str, type_: str, text: str) -> UUID:
    """The UUID in the id of a thing of this type. Raises RESOURCE_NOT_FOUND where it is no such id."""
    id_ = parse(prefix, text)
    if id_ is None:
        raise not_found(type_, text)
    return id_
