"""The five bytes before each message of a stream: flags and length."""

from __future__ import annotations

import struct
from typing import Final

from trunkline_server.core.errors import Reason, TrunklineError

_HEAD: Final = struct.Struct(">BI")
_COMPRESSED: Final = 0x01


def wrap(data: bytes, flags: int = 0) -> bytes:
    return _HEAD.pack(flags, len(data)) + data


def unwrap(data: bytes) -> bytes:
    """The one message of a request. Raises MALFORMED_MESSAGE."""
    if len(data) < _HEAD.size:
        raise _malformed("has no message")
    flags, length = _HEAD.unpack_from(data)
    if flags & _COMPRESSED:
        raise _malformed("is compressed, which is not taken here")
    end = _HEAD.size + length
    if len(data) < end or not _ends(data[end:]):
        raise _malformed("must hold exactly one message")
    return data[_HEAD.size : end]


def _ends(rest: bytes) -> bool:
    """Nothing follows, or an end of stream."""
    return not rest or bool(rest[0] & 0x82)


def _malformed(what: str) -> TrunklineError:
    return TrunklineError(Reason.MALFORMED_MESSAGE, f"the body {what}")
