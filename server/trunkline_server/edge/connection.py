"""One socket of a caller: requests come off it one after another, and whoever leaves ends what runs for them.

head ──▶ (body) ──▶ handled ──▶ idle ──▶ head ...      each wait has its limit, but the handler's, whose call has one
                        └──▶ switched (WebSocket), lingering (the request was not read to its end), closed
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, cast

import httptools

from trunkline_server.edge.exchange import Exchange, Head, Receiver, Reply, path_of
from trunkline_server.edge.limits import Limits, Traffic

WRITE_BUFFER_BYTES: Final = 64 * 1024
LINGER_S: Final = 2.0
_AHEAD_MAX: Final = 16
"""Requests that may wait behind a running one; no more is read then."""

Handler = Callable[[Exchange], Awaitable[None]]


class Host(Protocol):
    """The server of a connection."""

    limits: Limits
    traffic: Traffic
    closing: bool

    async def handle(self, exchange: Exchange) -> None: ...

    def opened(self, connection: Connection) -> bool: ...

    def lost(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """Fed by the loop; its parser calls the `on_...` methods."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._limits = host.limits
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._fields: list[tuple[str, str]] = []
        self._head_bytes = 0
        self._incoming: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._receiver: Receiver | None = None
        self._deaf = False
        self._reading = True

    # what the loop says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.certificate: object = transport.get_extra_info("peercert")
        self.is_secure = transport.get_extra_info("sslcontext") is not None
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        if self._host.opened(self):
            self._wait(self._limits.head_s)
        else:
            self._refuse(503)

    def data_received(self, data: bytes) -> None:
        self._host.traffic.received_bytes += len(data)
        if self._receiver is not None:
            self._receiver.received(data)
        elif not self._deaf:
            self._parse(data)

    def eof_received(self) -> None:
        """Whoever ends their side is gone; the transport closes."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait(None)
        self._host.lost(self)
        if self._current is not None:
            self._current.gone = True
        if self._task is not None:
            self._task.cancel()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # what the parser says

    def on_message_begin(self) -> None:
        self._target, self._fields = b"", []
        if self._current is None and not self._waiting:
            self._wait(self._limits.head_s)

    def on_url(self, target: bytes) -> None:
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._incoming is None:  # else it is a trailer
            self._fields.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        if self._wishes_in_vain():
            return
        exchange = self._incoming = Exchange(self, self._head())
        self._waiting.append(exchange)
        if len(self._waiting) > _AHEAD_MAX:
            self.hold_back(held=True)
        self._next()

    def on_body(self, data: bytes) -> None:
        if self._incoming is not None:
            self._incoming.feed(data)

    def on_message_complete(self) -> None:
        if self._incoming is not None:
            incoming, self._incoming = self._incoming, None
            incoming.complete()
            if incoming is self._current:
                self._wait(None)

    def _head(self) -> Head:
        target = self._target.decode("latin-1")
        path, query = path_of(target)
        return Head(
            method=self._parser.get_method().decode("ascii"),
            path=path,
            query=query,
            headers=self._fields,
            keep_alive=self._parser.should_keep_alive() and not self._parser.should_upgrade(),
            chunks=self._parser.get_http_version() == "1.1",
            upgrades=self._parser.should_upgrade(),
            target=target,
        )

    # what an exchange asks

    def write(self, data: bytes) -> None:
        self._host.traffic.sent_bytes += len(data)
        self._transport.write(data)

    async def drained(self) -> None:
        if not self._writable.is_set():
            await self._writable.wait()

    def hold_back(self, *, held: bool) -> None:
        if self._reading is held:
            self._reading = not held
            (self._transport.pause_reading if held else self._transport.resume_reading)()

    def tunnel(self, receiver: Receiver) -> None:
        self._receiver = receiver

    # what the server asks

    @property
    def busy(self) -> bool:
        return self._current is not None

    def close(self) -> None:
        """In good order, once what is written has been read; that too has its time."""
        self._deaf = True
        self._wait(self._limits.idle_s)
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    # within

    def _parse(self, data: bytes) -> None:
        if self._incoming is None:
            self._head_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(400)
        else:
            if self._incoming is None and self._head_bytes > self._limits.head_bytes_max:
                self._refuse(431)

    def _feed(self, data: bytes) -> None:
        """The parser stops behind a head that wishes for another protocol, and has passed over the body."""
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as pause:
                self._deaf = not self._wishes_in_vain()  # what comes before the protocol is changed, is of neither
                data = b"" if self._deaf else self._without_wish() + data[pause.args[0] :]
            else:
                return

    def _wishes_in_vain(self) -> bool:
        """For a protocol that is not spoken here. Nobody has to change it (RFC 9110, 7.8): the head is read again."""
        wished = [value.strip().lower() for name, value in self._fields if name == "upgrade"]
        return self._parser.should_upgrade() and bool(wished) and "websocket" not in wished

    def _without_wish(self) -> bytes:
        """The head again, for a parser that does not stop."""
        method, version = self._parser.get_method().decode("ascii"), self._parser.get_http_version()
        self._parser = httptools.HttpRequestParser(self)
        kept = (f"{name}: {value}" for name, value in self._fields if name != "upgrade")
        head = [f"{method} {self._target.decode('latin-1')} HTTP/{version}", *kept]
        return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n"

    def _next(self) -> None:
        if self._current is None and self._waiting:
            self._current = exchange = self._waiting.popleft()
            self._host.traffic.requests += 1
            self._wait(None if exchange.whole else self._limits.body_s)
            self._task = self._loop.create_task(self._run(exchange))

    async def _run(self, exchange: Exchange) -> None:
        try:
            await self._host.handle(exchange)
        finally:
            self._current = self._task = None
            self._after(exchange)

    def _after(self, exchange: Exchange) -> None:
        self._host.traffic.failures += exchange.status >= 500
        if exchange.gone:
            return
        if not exchange.ended:
            self.abort()
        elif not exchange.whole:
            self._linger()
        elif not exchange.keep_alive or self._host.closing:
            self.close()
        else:
            self.hold_back(held=False)
            self._wait(self._limits.idle_s)
            self._next()

    def _linger(self) -> None:
        """Let a caller who is still speaking read the answer: a close would reset it from under them."""
        self._deaf = True
        self.hold_back(held=False)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._wait(LINGER_S)

    def _refuse(self, status: int) -> None:
        """What is no request gets an answer without a handler, unless one runs: then its answer would be mistaken."""
        self._deaf = True
        if self._current is None:
            refusal = Exchange(self, Head("GET", "", "", (), keep_alive=False, chunks=False))
            refusal.respond(Reply(status))
            self._linger()
        else:
            self.abort()

    def _wait(self, limit_s: float | None) -> None:
        """For what comes next, at most so long; None: as long as the handler takes."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if limit_s is None else self._loop.call_later(limit_s, self.abort)
