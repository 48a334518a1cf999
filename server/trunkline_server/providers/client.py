"""The one HTTP client that speaks to providers: one request out, one answer in, as large pieces as the network gave.

What goes wrong becomes an `UpstreamFailure` by how far the call had come:

    no connection (DNS, connect, TLS, no free one in time)    NEVER_SENT
    sent, and no answer: reset, end or silence                AMBIGUOUS
    the answer began, then reset or end / silence             INTERRUPTED / TIMEOUT_IDLE
    not HTTP, not the encoding it claims, too large           BROKEN

Any status is an answer, redirects too. Leaving the context of a call before its end closes the provider's socket.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Protocol

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.providers.http.origin import Origin
from trunkline_server.providers.http.pool import Pool, PoolFigures
from trunkline_server.providers.http.settings import ClientSettings
from trunkline_server.providers.http.spelling import Spelling
from trunkline_server.wire.http import HttpRequest

__all__ = ["ClientSettings", "HttpTransport", "PoolFigures", "Response", "Transport"]


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
    """The transport over HTTP/1.1, with kept connections. Raises ValueError where it could never send anything."""

    def __init__(self, base_url: str, headers: Mapping[str, str], settings: ClientSettings | None = None) -> None:
        self._settings = settings or ClientSettings()
        origin = Origin.of(base_url)
        self._spelling = Spelling(origin, headers)
        self._pool = Pool(origin, self._settings)

    def open(self, request: HttpRequest) -> AbstractAsyncContextManager[Response]:
        if not request.path.startswith("/"):
            raise ValueError("the path of a request must begin with '/'")
        room = max(self._settings.body_bytes_max, request.answer_bytes_max)
        return _Exchange(self._spelling, self._pool, request, room)

    async def close(self) -> None:
        await self._pool.close()

    @property
    def figures(self) -> PoolFigures:
        return self._pool.figures


class _Exchange:
    """One call: entering sends it and waits for the head of the answer, leaving lets go of the connection."""

    __slots__ = ("_body_bytes_max", "_connection", "_pool", "_request", "_spelling")

    def __init__(self, spelling: Spelling, pool: Pool, request: HttpRequest, body_bytes_max: int) -> None:
        self._spelling = spelling
        self._pool = pool
        self._request = request
        self._body_bytes_max = body_bytes_max

    async def __aenter__(self) -> Response:
        head = self._head()
        self._connection = await self._pool.take()
        try:
            answer = self._connection.say(head, self._request.body, self._body_bytes_max)
            await answer.begun()
        except BaseException:
            self._pool.give_back(self._connection)
            raise
        return answer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.give_back(self._connection)

    def _head(self) -> bytes:
        try:
            return self._spelling.head(self._request)
        except ValueError:
            raise UpstreamFailure(FailureKind.INVALID) from None
