"""Bytes become frames: the greeting, sizes, padding, and header blocks that come in pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from trunkline_server.door.http2 import frames
from trunkline_server.door.http2.frames import Error, Fault

Take: TypeAlias = Callable[[int, int, int, bytes], None]
"""A frame: kind, flags, stream and payload."""
Begin: TypeAlias = Callable[[int, bytes, bool], None]
"""A whole header block: stream, block, and whether its stream ends with it."""

_BLOCK_BYTES_MAX: Final = 256 * 1024
_BLOCK_FRAMES_MAX: Final = 64


class FrameReader:
    """Frames go to `take`, header blocks to `begin`. Whatever is wrong is a Fault."""

    def __init__(self, take: Take, begin: Begin) -> None:
        self.greeted = False
        self._take = take
        self._begin = begin
        self._rest = b""
        self._block: _Block | None = None

    def feed(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        position, end = 0, len(data)
        if not self.greeted:
            position = self._greet(data)
        while end - position >= frames.HEAD_BYTES:
            size_kind, flags, stream = frames.HEAD.unpack_from(data, position)
            size = size_kind >> 8
            if size > frames.FRAME_BYTES_MAX:
                raise Fault(Error.FRAME_SIZE_ERROR, "a frame is larger than we take")
            stop = position + frames.HEAD_BYTES + size
            if stop > end:
                break
            payload = data[position + frames.HEAD_BYTES : stop]
            position = stop
            self._frame(size_kind & 0xFF, flags, stream & frames.STREAM_ID_MAX, payload)
        self._rest = data[position:] if self.greeted else data

    def _greet(self, data: bytes) -> int:
        """Whoever speaks HTTP/2 says so, and begins with settings; where the frames begin."""
        wanted = frames.PREFACE
        if not data.startswith(wanted[: len(data)]):
            raise Fault(Error.PROTOCOL_ERROR, "this is HTTP/2, with prior knowledge")
        head = data[len(wanted) : len(wanted) + frames.HEAD_BYTES]
        if len(head) < frames.HEAD_BYTES:
            return len(data)
        if head[3] != frames.SETTINGS or head[4] & frames.ACK:
            raise Fault(Error.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        self.greeted = True
        return len(wanted)

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._block is not None:
            self._continue(self._block, kind, flags, stream, payload)
        elif kind == frames.HEADERS:
            self._headers(flags, stream, payload)
        else:
            self._take(kind, flags, stream, payload)

    def _headers(self, flags: int, stream: int, payload: bytes) -> None:
        if flags & (frames.PADDED | frames.PRIORITISED):
            payload = frames.bare(flags, payload)
        if not stream & 1:
            raise Fault(Error.PROTOCOL_ERROR, "headers of a stream that is not the client's")
        ends = bool(flags & frames.END_STREAM)
        if flags & frames.END_HEADERS:
            self._begin(stream, payload, ends)
        else:
            self._block = _Block(stream, payload, ends=ends)

    def _continue(self, block: _Block, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind != frames.CONTINUATION or stream != block.stream:
            raise Fault(Error.PROTOCOL_ERROR, "a header block is interrupted")
        block.add(payload)
        if flags & frames.END_HEADERS:
            self._block = None
            self._begin(stream, bytes(block.data), block.ends)


class _Block:
    """A header block that comes in pieces."""

    def __init__(self, stream: int, data: bytes, *, ends: bool) -> None:
        self.stream = stream
        self.data = bytearray(data)
        self.ends = ends
        self._frames = 1

    def add(self, data: bytes) -> None:
        self.data += data
        self._frames += 1
        if len(self.data) > _BLOCK_BYTES_MAX or self._frames > _BLOCK_FRAMES_MAX:
            raise Fault(Error.ENHANCE_YOUR_CALM, "a header block without an end")
