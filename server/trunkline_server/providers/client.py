"""The one HTTP client that speaks to providers: one request out, one answer in, as large pieces as the network gave.

What goes wrong becomes an `UpstreamFailure` by how far the call had come:

    no connection (DNS, connect, TLS, no free one in time)    NEVER_SENT
    sent, and no answer: reset, end or silence                AMBIGUOUS
    the answer began, then reset or end / silence             INTERRUPTED / TIMEOUT_IDLE
    not HTTP, not the encoding it claims, too large           BROKEN

Any status is an answer, redirects too. Leaving the context of a call before its end closes the provider's socket.
"""

from __future__ import annotations

import select
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from io import BytesIO
from types import TracebackType
from typing import Protocol
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import ContentEncodingError
from aiohttp.tracing import Trace
from yarl import URL

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.http import HttpRequest

_HEADER_BYTES_MAX = 64 * 1024
_BODY_AT_ONCE_BYTES_MAX = 1024 * 1024
_BASE_HEADERS = {"user-agent": "trunkline", "accept-encoding": "gzip"}


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How patient the client is. `ca_file` adds a certificate authority to those of the system."""

    connect_timeout_s: float = 5.0
    read_timeout_s: float = 300.0
    keep_alive_s: float = 30.0
    connections_max: int = 256
    body_bytes_max: int = 32 * 1024 * 1024
    ca_file: str = ""


class Response(Protocol):
    """An answer whose status and headers are there; header names are found in any case."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """The decoded body: whatever has arrived since the last piece, in one piece."""

    async def read(self, limit: int) -> bytes:
        """The whole decoded body; BROKEN when it is longer than `limit` bytes."""


class Transport(Protocol):
    """Says a request to one provider and hands out the answer."""

    def open(self, request: HttpRequest) -> AbstractAsyncContextManager[Response]: ...


class HttpTransport:
    """The transport over HTTP/1.1, with kept connections. It is made inside the running loop and closed by `close`."""

    def __init__(self, base_url: str, headers: Mapping[str, str], settings: ClientSettings | None = None) -> None:
        self._settings = settings or ClientSettings()
        self._base_url = base_url.rstrip("/")
        self._session = _session({**_BASE_HEADERS, **headers}, self._settings)

    def open(self, request: HttpRequest) -> AbstractAsyncContextManager[Response]:
        if not request.path.startswith("/"):
            raise ValueError("the path of a request must begin with '/'")
        url = URL(self._base_url + request.path, encoded=True)
        return _Exchange(self._session, url, request, self._settings.body_bytes_max)

    async def close(self) -> None:
        await self._session.close()


class _Exchange:
    """One call: entering sends it and waits for the head of the answer, leaving lets go of the connection."""

    __slots__ = ("_body_bytes_max", "_request", "_response", "_session", "_url")

    def __init__(self, session: aiohttp.ClientSession, url: URL, request: HttpRequest, body_bytes_max: int) -> None:
        self._session = session
        self._url = url
        self._request = request
        self._body_bytes_max = body_bytes_max

    async def __aenter__(self) -> Response:
        try:
            self._response = await self._send()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # the client's own errors hold the request with its headers: none of them may travel on
            raise UpstreamFailure(_kind_before_answer(error)) from None
        return _Answer(self._response, self._body_bytes_max)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._response.close()

    async def _send(self) -> aiohttp.ClientResponse:
        request = self._request
        # the client refuses to write more than this at one go, a file-like body it sends in parts
        body = BytesIO(request.body) if len(request.body) > _BODY_AT_ONCE_BYTES_MAX else request.body
        return await self._session.request(
            request.method, self._url, headers=request.headers, data=body or None, allow_redirects=False
        )


class _Answer:
    """The answer of one call while its context is open."""

    __slots__ = ("_body_bytes_max", "_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, body_bytes_max: int) -> None:
        self._response = response
        self._body_bytes_max = body_bytes_max
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        room = self._body_bytes_max
        while piece := await self._next():
            room -= len(piece)
            if room < 0:
                raise self._failure(FailureKind.BROKEN)
            yield piece

    async def read(self, limit: int) -> bytes:
        body = bytearray()
        while piece := await self._next():
            body += piece
            if len(body) > min(limit, self._body_bytes_max):
                raise self._failure(FailureKind.BROKEN)
        return bytes(body)

    async def _next(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._failure(_kind_after_head(error)) from None

    def _failure(self, kind: FailureKind) -> UpstreamFailure:
        return UpstreamFailure(kind, self.status)


class _Connector(aiohttp.TCPConnector):
    """Hands out kept connections only while the provider has not hung up on them.

    The loop may not have read the end yet; a request on such a connection would fail as if it had been sent.
    """

    def __init__(self, settings: ClientSettings) -> None:
        super().__init__(
            limit=settings.connections_max,
            keepalive_timeout=settings.keep_alive_s,
            ssl=_trust(settings.ca_file) if settings.ca_file else True,
            ttl_dns_cache=60,
        )
        self._used: WeakSet[ResponseHandler] = WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  the library's signature
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is None or protocol not in self._used:
                break
            if not _has_news(connection):
                return connection
            connection.close()
        if protocol is not None:
            self._used.add(protocol)
        return connection


def _has_news(connection: Connection) -> bool:
    """Whether an idle connection has anything to read, which can only be its end."""
    sock = connection.transport.get_extra_info("socket") if connection.transport else None
    if sock is None or sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _session(headers: Mapping[str, str], settings: ClientSettings) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=_Connector(settings),
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(
            total=None, connect=settings.connect_timeout_s, sock_read=settings.read_timeout_s
        ),
        max_line_size=_HEADER_BYTES_MAX,
        max_field_size=_HEADER_BYTES_MAX,
        trust_env=False,
    )


def _trust(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(ca_file)
    return context


def _kind_before_answer(error: Exception) -> FailureKind:
    match error:
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError() | aiohttp.ServerFingerprintMismatch():
            return FailureKind.NEVER_SENT
        case aiohttp.ClientResponseError():
            return FailureKind.BROKEN
        case aiohttp.ClientError() | OSError():  # TimeoutError is an OSError
            return FailureKind.AMBIGUOUS
        case _:
            return FailureKind.INVALID  # a header or an address that cannot be written


def _kind_after_head(error: Exception) -> FailureKind:
    if isinstance(error, TimeoutError):
        return FailureKind.TIMEOUT_IDLE
    if isinstance(error.__cause__, ContentEncodingError):
        return FailureKind.BROKEN
    return FailureKind.INTERRUPTED
