"""One HTTP request and the answer to it, as handlers see them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import quote, unquote

from trunkline_server.edge.status import BodyTooLarge

HELD_BYTES_MAX: Final = 64 * 1024
"""So much of a body is taken before its handler asks for it: the caller may be nobody."""

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Headers = ()
    body: bytes = b""


class Port(Protocol):
    """What an exchange needs of its connection. `certificate` is the caller's; None or empty where none was shown.
    `is_secure`: it speaks TLS with us."""

    @property
    def certificate(self) -> object: ...

    @property
    def is_secure(self) -> bool: ...

    def write(self, data: bytes) -> None: ...

    async def drained(self) -> None: ...

    def hold_back(self, *, held: bool) -> None: ...

    def tunnel(self, receiver: Receiver) -> None: ...


class Receiver(Protocol):
    """Takes over a connection whose protocol was changed."""

    def received(self, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Head:
    """The start of a request; names of headers in lower case."""

    method: str
    path: str
    query: str
    headers: Headers
    keep_alive: bool
    chunks: bool
    """Whether the caller understands an answer in chunks (HTTP/1.1)."""
    upgrades: bool = False
    target: str = ""
    """Path and query as they were sent."""


class Exchange:
    """`body()` at most once, then `respond()`, or `begin()`, any number of `write()`, and `end()`."""

    __slots__ = (
        "_body",
        "_chunks",
        "_news",
        "_port",
        "_wanted",
        "_whole",
        "begun",
        "beside",
        "ended",
        "gone",
        "head",
        "keep_alive",
        "status",
    )

    def __init__(self, port: Port, head: Head) -> None:
        self._port = port
        self.head = head
        self._body = bytearray()
        self._whole = False
        self._wanted = False
        self._news: asyncio.Future[None] | None = None
        self._chunks = False
        self.keep_alive = head.keep_alive
        self.beside: list[tuple[str, str]] = []
        """Headers that every answer gets."""
        self.status = 0
        self.begun = False
        self.ended = False
        self.gone = False

    @property
    def certificate(self) -> object:
        return self._port.certificate

    @property
    def is_secure(self) -> bool:
        """Whether the caller came over TLS: to us, or as the proxy before us says."""
        forwarded = self.header("x-forwarded-proto").partition(",")[0].strip().lower()
        return self._port.is_secure or forwarded == "https"

    @property
    def path(self) -> str:
        return self.head.path

    @property
    def whole(self) -> bool:
        """The request has come to its end."""
        return self._whole

    def header(self, name: str) -> str:
        """The first of that name; empty where there is none."""
        return next((value for key, value in self.head.headers if key == name), "")

    # the request

    async def body(self, bytes_max: int) -> bytes:
        """All of it. Raises where it is longer than `bytes_max`."""
        if self.header("content-length").isdigit() and int(self.header("content-length")) > bytes_max:
            raise BodyTooLarge(bytes_max)
        if not self._whole and self.header("expect").lower() == "100-continue":
            self._port.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._wanted = True
        while not self._whole:
            if len(self._body) > bytes_max:
                raise BodyTooLarge(bytes_max)
            self._port.hold_back(held=False)
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        if len(self._body) > bytes_max:
            raise BodyTooLarge(bytes_max)
        return bytes(self._body)

    def feed(self, data: bytes) -> None:
        if self.ended:
            return
        self._body += data
        if self._wanted:
            self._wake()
        elif len(self._body) > HELD_BYTES_MAX:
            self._port.hold_back(held=True)

    def complete(self) -> None:
        self._whole = True
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    # the answer

    def respond(self, reply: Reply) -> None:
        """All at once."""
        length = () if reply.status in (204, 304) else (("content-length", str(len(reply.body))),)
        head = self._spell(reply.status, (*length, *reply.headers))
        self._port.write(head if self.head.method == "HEAD" else head + reply.body)
        self.begun = self.ended = True

    def begin(self, status: int, headers: Headers) -> None:
        """Piece by piece."""
        self._chunks = self.head.chunks
        self.keep_alive = self.keep_alive and self._chunks
        framing = (("transfer-encoding", "chunked"),) if self._chunks else ()
        self._port.write(self._spell(status, (*framing, *headers)))
        self.begun = True

    async def write(self, data: bytes) -> None:
        """Waits while the caller does not read. What comes behind the end (a heartbeat) would spoil the next answer."""
        if self.ended:
            raise asyncio.CancelledError
        self._port.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunks else data)
        await self._port.drained()

    def end(self, data: bytes = b"") -> None:
        """The last piece."""
        if data:
            self._port.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunks else data)
        if self._chunks:
            self._port.write(b"0\r\n\r\n")
        self.ended = True

    def switch(self, headers: Headers, receiver: Receiver) -> None:
        """Another protocol from here on."""
        self._port.tunnel(receiver)
        self._port.write(_spell(101, headers))
        self.status, self.begun, self.keep_alive = 101, True, False

    def put_raw(self, data: bytes) -> None:
        """In that protocol, without waiting."""
        self._port.write(data)

    async def send_raw(self, data: bytes) -> None:
        """In that protocol."""
        self._port.write(data)
        await self._port.drained()

    def _spell(self, status: int, headers: Iterable[tuple[str, str]]) -> bytes:
        self.status = status
        if not self._whole:
            self.keep_alive = False
        closing = () if self.keep_alive else (("connection", "close"),)
        return _spell(status, (*headers, *self.beside, *closing))


def path_of(target: str) -> tuple[str, str]:
    """Path and query of a request's target."""
    path, _, query = target.partition("?")
    return unquote(path), query


def _spell(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    phrase = HTTPStatus(status).phrase if status != 499 else "Client Closed Request"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {_plain(value)}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _plain(value: str) -> str:
    """A header is printable ASCII; anything else could end it."""
    return value if value.isascii() and value.isprintable() else quote(value, safe=" /:;,=()")
