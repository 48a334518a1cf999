"""One answer as it comes in: the connection pushes bytes at it, one reader waits for what they mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Final

import httptools

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.providers.http.headers import Headers
from trunkline_server.providers.http.inflate import ENCODINGS, Corrupt, Inflate

BARREN_BYTES_MAX: Final = 64 * 1024
"""So much may come in a row without any body in it: headers, interim answers, framing, trailers."""


class Incoming:
    """Fed by `feed`, `end` and `silence`; read once. `drained` is called when everything that came was taken."""

    __slots__ = (
        "_barren_bytes",
        "_bytes_max",
        "_drained",
        "_failure",
        "_inflate",
        "_loop",
        "_parser",
        "_pieces",
        "_raw_headers",
        "_until_end",
        "_waiter",
        "complete",
        "headers",
        "on_body",
        "on_header",
        "reusable",
        "status",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, bytes_max: int, drained: Callable[[], None]) -> None:
        self._loop = loop
        self._bytes_max = bytes_max
        self._drained = drained
        self._pieces: list[bytes] = []
        self._raw_headers: dict[bytes, bytes] = {}
        self._barren_bytes = 0
        self.complete = False
        self._failure: FailureKind | None = None
        self._inflate: Inflate | None = None
        self._until_end = False
        self._waiter: asyncio.Future[None] | None = None
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.reusable = False
        # the parser calls these straight, without a frame of Python between
        self.on_header = self._raw_headers.setdefault
        self.on_body = self._pieces.append
        self._parser = httptools.HttpResponseParser(self)

    @property
    def awaited(self) -> bool:
        """Whether the reader has nothing left to do but to wait."""
        return self._waiter is not None and not self._waiter.done()

    # what the connection says

    def feed(self, data: memoryview) -> None:
        before = len(self._pieces)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(FailureKind.BROKEN)
        self._barren_bytes = 0 if len(self._pieces) > before else self._barren_bytes + len(data)
        if self._barren_bytes > BARREN_BYTES_MAX:
            self._fail(FailureKind.BROKEN)
        self._wake()

    def end(self, *, orderly: bool) -> None:
        """The connection is over."""
        if orderly and self._until_end and self._failure is None:
            self.complete = True
        self._fail(FailureKind.INTERRUPTED if self.status else FailureKind.AMBIGUOUS)
        self._wake()

    def silence(self) -> None:
        """The provider has said nothing for too long."""
        self._fail(FailureKind.TIMEOUT_IDLE if self.status else FailureKind.AMBIGUOUS)
        self._wake()

    def close(self) -> None:
        """The exchange is over; a reader who is still there learns it."""
        self.complete = False
        self._pieces.clear()
        self.end(orderly=False)
        del self._parser  # which holds on to us

    # what the parser says

    def on_message_begin(self) -> None:
        if self.complete:  # an answer to nothing
            raise httptools.HttpParserError

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 100:
            raise httptools.HttpParserError
        if status < 200:  # an interim answer, which has no body
            self._raw_headers.clear()
            return
        headers = self.headers = Headers(self._raw_headers)
        self.reusable = self._parser.should_keep_alive()
        self._until_end = not (
            self.reusable or "content-length" in headers or "chunked" in headers.get("transfer-encoding", "").lower()
        )
        encoding = headers.get("content-encoding", "").strip().lower()
        self._inflate = Inflate(encoding) if encoding in ENCODINGS else None
        self.status = status

    def on_message_complete(self) -> None:
        self.complete = self.status > 0

    # what the reader asks

    async def begun(self) -> None:
        """Waits for status and headers."""
        while not self.status:
            await self._news()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The decoded body: whatever has arrived since the last piece, in one piece."""
        room = self._bytes_max
        while piece := await self._next():
            room -= len(piece)
            if room < 0:
                raise UpstreamFailure(FailureKind.BROKEN, self.status)
            yield piece

    async def read(self, limit: int) -> bytes:
        """The whole decoded body; BROKEN when it is longer than `limit` bytes."""
        room, pieces = min(limit, self._bytes_max), []
        while piece := await self._next():
            room -= len(piece)
            if room < 0:
                raise UpstreamFailure(FailureKind.BROKEN, self.status)
            pieces.append(piece)
        return b"".join(pieces)

    async def _next(self) -> bytes:
        """The next piece of the body; empty at its end."""
        if self._inflate is None:
            return await self._raw()
        try:
            return await self._inflated(self._inflate)
        except Corrupt:
            raise UpstreamFailure(FailureKind.BROKEN, self.status) from None

    async def _inflated(self, inflate: Inflate) -> bytes:
        while not (piece := inflate.piece()):
            raw = await self._raw()
            if not raw:
                inflate.close()
                break
            inflate.feed(raw)
        return piece

    async def _raw(self) -> bytes:
        while not self._pieces:
            if self.complete:
                return b""
            await self._news()
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._drained()
        return data

    async def _news(self) -> None:
        if self._failure is not None:
            raise UpstreamFailure(self._failure, self.status) from None
        self._waiter = self._loop.create_future()
        await self._waiter

    def _fail(self, kind: FailureKind) -> None:
        self.reusable = False
        if not self.complete and self._failure is None:
            self._failure = kind

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
