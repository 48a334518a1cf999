"""How frames of HTTP/2 are spelled (RFC 9113, sections 4 and 6)."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD: Final = Struct(">IBI")
"""Length and kind in one number, then flags and stream."""
HEAD_BYTES: Final = 9
FRAME_BYTES_MAX: Final = 16_384
WINDOW_BYTES: Final = 65_535
WINDOW_BYTES_MAX: Final = 2**31 - 1
STREAM_ID_MAX: Final = 2**31 - 1

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM: Final = 1
ACK: Final = 1
END_HEADERS: Final = 4
PADDED: Final = 8
PRIORITISED: Final = 32


class Setting(IntEnum):
    """What ends tell each other about themselves."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class Error(IntEnum):
    """Why a stream or a connection ends."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class Fault(Exception):
    """The other end broke the rules: the connection cannot go on."""

    def __init__(self, error: Error, why: str) -> None:
        super().__init__(why)
        self.error = error


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def settings(values: dict[Setting, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(key.to_bytes(2) + value.to_bytes(4) for key, value in values.items()))


def window_update(stream: int, increment: int) -> bytes:
    return HEAD.pack(4 << 8 | WINDOW_UPDATE, 0, stream) + increment.to_bytes(4)


def rst_stream(stream: int, error: Error) -> bytes:
    return HEAD.pack(4 << 8 | RST_STREAM, 0, stream) + error.to_bytes(4)


def goaway(last_stream: int, error: Error, why: str = "") -> bytes:
    return frame(GOAWAY, 0, 0, last_stream.to_bytes(4) + error.to_bytes(4) + why.encode())


def headers(stream: int, block: bytes, *, end: bool) -> bytes:
    """A header block, in as many frames as it needs."""
    flags = END_STREAM if end else 0
    if len(block) <= FRAME_BYTES_MAX:
        return HEAD.pack(len(block) << 8 | HEADERS, flags | END_HEADERS, stream) + block
    parts = [block[at : at + FRAME_BYTES_MAX] for at in range(0, len(block), FRAME_BYTES_MAX)]
    first, *between, last = parts
    return b"".join(
        (
            frame(HEADERS, flags, stream, first),
            *(frame(CONTINUATION, 0, stream, part) for part in between),
            frame(CONTINUATION, END_HEADERS, stream, last),
        )
    )


def bare(flags: int, payload: bytes) -> bytes:
    """The payload without its padding and its priority."""
    begin = end = 0
    if flags & PADDED:
        begin, end = 1, payload[0] if payload else 1
    if flags & PRIORITISED:
        begin += 5
    if begin + end > len(payload):
        raise Fault(Error.PROTOCOL_ERROR, "more padding than payload")
    return payload[begin : len(payload) - end]
