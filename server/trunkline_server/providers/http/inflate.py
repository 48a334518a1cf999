"""Unpacks gzip and deflate as they come in, a bounded piece at a time, so that a bomb goes off in small parts."""

from __future__ import annotations

import zlib
from typing import Final

ENCODINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})
Corrupt: Final = zlib.error
_PIECE_BYTES_MAX: Final = 256 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS
_ZLIB_METHOD: Final = 8


class Inflate:
    """Feed it, then take pieces until one is empty. Raises `Corrupt`."""

    __slots__ = ("_encoding", "_full", "_input", "_stream")

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._stream: zlib._Decompress | None = None
        self._input = b""
        self._full = False

    def feed(self, data: bytes) -> None:
        self._input += data

    def piece(self) -> bytes:
        data = b""
        while not data and (self._input or self._full):
            data = self._step()
        return data

    def close(self) -> None:
        """The input is over."""
        if self._stream is not None and not self._stream.eof:
            raise Corrupt("it ends too early")

    def _step(self) -> bytes:
        if self._stream is None or (self._stream.eof and self._input):  # gzip may have members, one after another
            self._stream = zlib.decompressobj(self._window())
        stream = self._stream
        data = stream.decompress(self._input, _PIECE_BYTES_MAX)
        self._full = len(data) == _PIECE_BYTES_MAX  # then zlib may hold more, even where all input is taken
        self._input = stream.unconsumed_tail or stream.unused_data
        return data

    def _window(self) -> int:
        if self._encoding != "deflate":
            return _GZIP
        wrapped = self._input[0] & 0x0F == _ZLIB_METHOD  # some servers leave the wrapping out
        return zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS
