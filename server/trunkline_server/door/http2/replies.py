"""How answers are spelled: header blocks that no table is needed for, so that no state can go wrong."""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from trunkline_server.door.code import Code
from trunkline_server.door.http2.head import ENCODINGS, Refusal

_STATUS_200: Final = b"\x88"
_STATUS: Final = b"\x08"
_CONTENT_TYPE: Final = b"\x0f\x10"
_UNPRINTABLE: Final = re.compile(rb"[^ -$&-~]")
_STRING_BYTES: Final = 0x7F
_LENGTHS: Final = tuple(bytes((length,)) for length in range(_STRING_BYTES))
_NO_TEXT: Final = re.compile(r"[^ -~]")


def _string(data: bytes) -> bytes:
    """Length and letters, without Huffman coding."""
    left = len(data) - _STRING_BYTES
    if left < 0:
        return _LENGTHS[len(data)] + data
    head = bytearray((_STRING_BYTES,))
    while left > 0x7F:
        head.append(left & 0x7F | 0x80)
        left >>= 7
    head.append(left)
    return bytes(head) + data


@lru_cache(maxsize=256)
def _name(name: str) -> bytes:
    """The part of a field that is the same in every call."""
    return b"\0" + _string(name.lower().encode("ascii"))


def _field(name: str, value: str | bytes) -> bytes:
    if isinstance(value, bytes):
        return _name(name) + _string(b2a_base64(value, newline=False).rstrip(b"="))
    plain = value if value.isascii() and value.isprintable() else _NO_TEXT.sub("?", value)
    return _name(name) + _string(plain.encode("ascii"))


OPENING: Final = _STATUS_200 + _CONTENT_TYPE + _string(b"application/grpc")
_ENCODINGS: Final = _field("grpc-accept-encoding", ",".join(ENCODINGS))
_STATUSES: Final = {code: _field("grpc-status", str(code.value)) for code in Code}


def trailers(code: Code, message: str, metadata: Iterable[tuple[str, str | bytes]]) -> bytes:
    """The end of an answer; after `OPENING` in one block it is a whole answer."""
    told = [_field(name, value) for name, value in metadata]
    if message:
        told.insert(0, _name("grpc-message") + _string(_percent(message)))
    return b"".join((_STATUSES[code], *told))


def refusing(refusal: Refusal) -> bytes:
    """A whole answer, given before anything of ours has run."""
    told = trailers(refusal.code, refusal.message, ())
    if refusal.http_status != 200:
        return _STATUS + _string(str(refusal.http_status).encode()) + told
    return OPENING + told + (_ENCODINGS if refusal.code is Code.UNIMPLEMENTED else b"")


def _percent(text: str) -> bytes:
    """Everything but printable ASCII, and `%` itself, by number."""
    return _UNPRINTABLE.sub(lambda found: b"%%%02X" % found[0][0], text.encode("utf-8", "replace"))
