"""A request as it comes in: the bytes of DATA frames become messages, unpacked where they are packed."""

from __future__ import annotations

import zlib
from collections import deque
from typing import Final

from trunkline_server.door.code import Code

PREFIX_BYTES: Final = 5
_WINDOW_BITS: Final = {"gzip": 31, "deflate": 15}


class Unreadable(Exception):
    """The request cannot be taken; the call ends with this code."""

    def __init__(self, code: Code, why: str) -> None:
        super().__init__(why)
        self.code = code


class Inbox:
    """Messages of one call, oldest first."""

    __slots__ = ("_bytes_max", "_encoding", "_partial", "held_bytes", "messages")

    def __init__(self, bytes_max: int, encoding: str) -> None:
        self.messages: deque[bytes] = deque()
        self._bytes_max = bytes_max
        self._encoding = encoding
        self._partial = bytearray()
        self.held_bytes = 0

    @property
    def is_cut(self) -> bool:
        """Whether a message is not whole yet."""
        return bool(self._partial)

    def pop(self) -> bytes:
        message = self.messages.popleft()
        self.held_bytes -= len(message)
        return message

    def feed(self, data: bytes) -> None:
        """Raises Unreadable."""
        if not self._partial and len(data) >= PREFIX_BYTES and data[0] == 0:
            size = int.from_bytes(data[1:5])
            if size == len(data) - PREFIX_BYTES and size <= self._bytes_max:
                self.messages.append(data[PREFIX_BYTES:])
                self.held_bytes += size
                return
        self._partial += data
        self.held_bytes += len(data)
        self._cut()

    def _cut(self) -> None:
        partial = self._partial
        while len(partial) >= PREFIX_BYTES:
            size = int.from_bytes(partial[1:PREFIX_BYTES])
            if size > self._bytes_max:
                raise Unreadable(
                    Code.RESOURCE_EXHAUSTED, f"a message of {size} bytes; the largest may have {self._bytes_max}"
                )
            end = PREFIX_BYTES + size
            if len(partial) < end:
                return
            message = self._unpacked(partial[0], bytes(partial[PREFIX_BYTES:end]))
            del partial[:end]
            self.messages.append(message)
            self.held_bytes += len(message) - end

    def _unpacked(self, flag: int, data: bytes) -> bytes:
        if flag == 0:
            return data
        if flag != 1 or self._encoding == "identity":
            raise Unreadable(Code.INTERNAL, "a message says it is compressed, and the call does not say how")
        unpacking = zlib.decompressobj(_WINDOW_BITS[self._encoding])
        try:
            message = unpacking.decompress(data, self._bytes_max + 1)
        except zlib.error:
            raise Unreadable(Code.INTERNAL, "a compressed message cannot be unpacked") from None
        if len(message) > self._bytes_max:
            raise Unreadable(Code.RESOURCE_EXHAUSTED, f"an unpacked message is larger than {self._bytes_max} bytes")
        if not unpacking.eof:
            raise Unreadable(Code.INTERNAL, "a compressed message is cut off")
        return message
