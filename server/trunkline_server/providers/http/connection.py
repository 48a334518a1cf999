"""One socket to a provider, one exchange at a time."""

from __future__ import annotations

import asyncio
import select
from typing import Final, Protocol, cast

from trunkline_server.providers.http.incoming import Incoming

_HELD_BYTES_MAX: Final = 256 * 1024
"""Above this the provider is not read, until the reader has taken what there is."""


class Owner(Protocol):
    """Hears of each connection that is made, and then that it is closed."""

    def opened(self, connection: Connection) -> None: ...

    def lost(self, connection: Connection) -> None: ...


class Connection(asyncio.BufferedProtocol):
    """Reads into `buffer`, which connections of one loop share: it is empty again before another one reads."""

    __slots__ = (
        "_buffer",
        "_heard",
        "_held_bytes",
        "_incoming",
        "_loop",
        "_owner",
        "_paused",
        "_poll",
        "_read_timeout_s",
        "_timer",
        "_transport",
        "good_until",
        "idle_since",
    )

    def __init__(self, buffer: memoryview, read_timeout_s: float, owner: Owner, age_s_max: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffer = buffer
        self._read_timeout_s = read_timeout_s
        self._owner = owner
        self._poll = select.poll()
        self._incoming: Incoming | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._held_bytes = 0
        self._paused = False
        self.idle_since = 0.0
        self.good_until = self._loop.time() + age_s_max

    @property
    def closing(self) -> bool:
        return self._transport.is_closing()

    @property
    def quiet(self) -> bool:
        """Whether an idle connection may be used: anything to read on it can only be its end."""
        return not self.closing and self._loop.time() < self.good_until and not self._poll.poll(0)

    def say(self, head: bytes, body: bytes, bytes_max: int) -> Incoming:
        """Sends a request; the answer has at most `bytes_max` once it is decoded."""
        incoming = self._incoming = Incoming(self._loop, bytes_max, self._drained)
        self._transport.write(head + body)
        self._heard = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._read_timeout_s, self._look)
        return incoming

    def let_go(self) -> bool:
        """Ends the exchange. Whether another one may follow; if not, the socket is closed at once."""
        incoming, self._incoming = self._incoming, None
        reusable = incoming is not None and incoming.reusable and incoming.complete
        reusable = reusable and not self.closing and not self._transport.get_write_buffer_size()
        if incoming is not None:
            incoming.close()
        if reusable:
            self._drained()
        else:
            self.abort()
        return reusable

    def abort(self) -> None:
        """Closes the socket without a farewell, under TLS too, where one could take half a minute."""
        self._transport.abort()

    # what the loop says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._owner.opened(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  the loop's signature
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._incoming is None:
            self.abort()
            return
        self._heard = self._loop.time()
        self._held_bytes += nbytes
        self._incoming.feed(self._buffer[:nbytes])
        if self._held_bytes > _HELD_BYTES_MAX and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        if self._incoming is not None:
            self._incoming.end(orderly=True)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._incoming is not None:
            self._incoming.end(orderly=exc is None)
        self._owner.lost(self)

    def _drained(self) -> None:
        self._held_bytes = 0
        if self._paused:
            self._paused = False
            self._heard = self._loop.time()
            self._transport.resume_reading()

    def _look(self) -> None:
        """One timer for all exchanges of the connection: it looks when it is due, and again when it might be."""
        self._timer = None
        if self._incoming is None:
            return
        left_s = self._heard + self._read_timeout_s - self._loop.time()
        if left_s <= 0 and self._incoming.awaited:
            self._incoming.silence()
            return
        self._timer = self._loop.call_later(left_s if left_s > 0 else self._read_timeout_s, self._look)
