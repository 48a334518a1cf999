"""What a connection has to say: frames of one turn of the loop together, data as far as the other end takes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from trunkline_server.door.http2.frames import (
    DATA,
    FRAME_BYTES_MAX,
    HEAD,
    WINDOW_BYTES,
    WINDOW_BYTES_MAX,
    Error,
    Fault,
)

if TYPE_CHECKING:
    from trunkline_server.door.http2.exchange import Exchange

_AT_ONCE_BYTES: Final = 64 * 1024
_FRAME_BYTES: Final = 64 * 1024
"""The largest that we send, though the other end would take more: streams take turns."""


class Outflow:
    """A message that does not fit into the windows or the socket is kept until it does, and its sender waits."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._out: list[bytes | memoryview] = []
        self._out_bytes = 0
        self._flushing = False
        self._full = False
        self._waiting: dict[Exchange, None] = {}
        self._window = WINDOW_BYTES
        self._frame_bytes = FRAME_BYTES_MAX
        self.first_window = WINDOW_BYTES
        self.spoke = False
        """Whether anything was said since somebody last looked."""

    def put(self, frames: bytes | memoryview) -> None:
        """Say this; never waits."""
        self.spoke = True
        self._out.append(frames)
        self._out_bytes += len(frames)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self.flush)
        elif self._out_bytes >= _AT_ONCE_BYTES:
            self._write()

    def acknowledge(self, frame: bytes) -> None:
        """Says what was asked for, which does not count as speaking."""
        spoke = self.spoke
        self.put(frame)
        self.spoke = spoke

    def flush(self) -> None:
        self._flushing = False
        self._write()

    def _write(self) -> None:
        if self._out and not self._transport.is_closing():
            self._transport.write(b"".join(self._out))
        self._out.clear()
        self._out_bytes = 0

    def send(self, exchange: Exchange, data: bytes) -> asyncio.Future[None] | None:
        """Data of a call; what to wait for, when it cannot leave at once."""
        size = len(data)
        if size <= exchange.window and size <= self._window and size <= self._frame_bytes and not self._full:
            exchange.window -= size
            self._window -= size
            self.put(HEAD.pack(size << 8 | DATA, 0, exchange.id) + data)
            return None
        exchange.unsent = memoryview(data)
        exchange.moved_at = self._loop.time()
        exchange.on_sent = self._loop.create_future()
        self._waiting[exchange] = None
        self._go_on()
        return exchange.on_sent

    def drop(self, exchange: Exchange) -> None:
        """What was not sent yet never will be."""
        if self._waiting.pop(exchange, self) is None:
            exchange.unsent = None
            exchange.cut_off = False
            if exchange.on_sent is not None:
                exchange.on_sent.cancel()

    def stuck(self, before: float) -> list[Exchange]:
        """Those of whose data nothing has been taken since then."""
        return [exchange for exchange in self._waiting if exchange.moved_at < before]

    def pause(self) -> None:
        """The socket is full."""
        self._full = True

    def resume(self) -> None:
        self._full = False
        self._go_on()

    def widen(self, increment: int) -> None:
        """The other end takes more on this connection."""
        self._window += increment
        if self._window > WINDOW_BYTES_MAX:
            raise Fault(Error.FLOW_CONTROL_ERROR, "the window of the connection is too large")
        self._go_on()

    def widen_stream(self, exchange: Exchange, increment: int) -> bool:
        """The other end takes more of one call; whether that may be."""
        exchange.window += increment
        if exchange.unsent is not None:
            self._go_on()
        return exchange.window <= WINDOW_BYTES_MAX

    def widen_streams(self, size: int, exchanges: list[Exchange]) -> None:
        """Windows begin with another size: those that are open change by the difference."""
        difference, self.first_window = size - self.first_window, size
        for exchange in exchanges:
            if not self.widen_stream(exchange, difference):
                raise Fault(Error.FLOW_CONTROL_ERROR, "the window of a stream is too large")

    def limit_frames(self, size: int) -> None:
        """The largest frame that the other end takes."""
        self._frame_bytes = min(size, _FRAME_BYTES)

    def _go_on(self) -> None:
        """A frame of each in turn, as long as one can move."""
        moving = list(self._waiting)
        while moving and self._window > 0:
            moving = [exchange for exchange in moving if not self._full and self._move(exchange)]

    def _move(self, exchange: Exchange) -> bool:
        """Sends a frame; whether another may follow."""
        unsent = exchange.unsent
        if unsent is None:
            return False
        size = min(len(unsent), exchange.window, self._window, self._frame_bytes)
        if size <= 0:
            return False
        exchange.window -= size
        self._window -= size
        exchange.moved_at = self._loop.time()
        self.put(HEAD.pack(size << 8 | DATA, 0, exchange.id))
        self.put(unsent[:size])
        exchange.cut_off = size < len(unsent)
        exchange.unsent = unsent[size:]
        if not exchange.cut_off:
            del self._waiting[exchange]
            exchange.sent()
        return exchange.cut_off
