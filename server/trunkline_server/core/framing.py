"""Several messages in one blob: each behind its length in four bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_SIZE_BYTES: Final = 4


def framed(message: bytes) -> bytes:
    """One message, ready to be appended to a blob."""
    return len(message).to_bytes(_SIZE_BYTES) + message


def split(blob: bytes) -> Iterator[bytes]:
    """The messages of a blob."""
    at = 0
    while at < len(blob):
        begin = at + _SIZE_BYTES
        at = begin + int.from_bytes(blob[at:begin])
        yield blob[begin:at]
