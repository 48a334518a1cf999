"""Fetches from addresses that callers give, and posts to them: only public ones, checked when dialled, with nothing of
ours sent along."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from trunkline_server.core.address import Address, EgressPolicy, not_allowed, parse
from trunkline_server.core.errors import Reason, TrunklineError, invalid

if TYPE_CHECKING:
    import httpcore

    from trunkline_server.providers.guard import Resolve

HOPS_MAX = 3
_HEADERS: dict[str | bytes, str | bytes] = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "trunkline"}
_REDIRECTS = {301, 302, 303, 307, 308}
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (0, b"%PDF-", "application/pdf"),
)


@dataclass(frozen=True, slots=True)
class EgressTimeouts:
    """How long a fetch may take: one connection, and everything together."""

    connect_s: float = 3.0
    total_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was behind an address; `media_type` by its first bytes where they tell, else as declared."""

    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What a post was answered with; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    data: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """An answer that is being read; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]


class Egress:
    """The guarded client. Its HTTP library is loaded with the first fetch."""

    def __init__(
        self,
        policy: EgressPolicy,
        timeouts: EgressTimeouts | None = None,
        resolve: Resolve | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._policy = policy
        self._timeouts = timeouts or EgressTimeouts()
        self._resolve = resolve or _look_up
        self._network = network
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def fetch(self, url: str, *, bytes_max: int, field: str) -> Fetched:
        """The bytes at `url`, at most `bytes_max`; errors name `field`. URL_NOT_ALLOWED, MEDIA_INVALID."""
        address = parse(url, field, self._policy)
        pool, failures = self._opened()
        try:
            async with asyncio.timeout(self._timeouts.total_s):
                return await self._follow(pool, address, bytes_max, field)
        except failures:
            raise not_allowed(field) from None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, bytes_max: int, field: str) -> Answered:
        """Sends `body`, and reads at most `bytes_max` of the answer; a redirect is an answer like any other.

        Raises URL_NOT_ALLOWED, also where nobody answers, and DEADLINE where somebody does so too late.
        """
        address = parse(url, field, self._policy)
        pool, failures = self._opened()
        deadline = asyncio.timeout(self._timeouts.total_s)
        try:
            async with deadline:
                return await self._post(pool, address, body, headers, bytes_max)
        except failures:
            if deadline.expired():
                raise TrunklineError(Reason.DEADLINE, "the address did not answer in time") from None
            raise not_allowed(field) from None

    @asynccontextmanager
    async def exchange(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], *, field: str
    ) -> AsyncIterator[Exchange]:
        """An answer for whoever asks to read, who also bounds its time and its size; a redirect is one like any other.

        Raises URL_NOT_ALLOWED, and TOOL_FAILED where nobody answers or may be asked: it does not tell which.
        """
        address = parse(url, field, self._policy)
        pool, failures = self._opened()
        sent = {"user-agent": "trunkline", "accept-encoding": "identity", **headers, "content-length": str(len(body))}
        try:
            async with pool.stream(
                method, address.url, headers=list(sent.items()), content=body, extensions=self._extensions()
            ) as response:
                told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                yield Exchange(response.status, told, aiter(response.aiter_stream()))
        except failures:
            raise TrunklineError(Reason.TOOL_FAILED, "the address cannot be reached") from None

    def _opened(self) -> tuple[httpcore.AsyncConnectionPool, tuple[type[Exception], ...]]:
        """The pool, and what may go wrong with it."""
        from trunkline_server.providers import guard  # noqa: PLC0415  brings the HTTP library, with the first fetch

        self._pool = self._pool or guard.pool(self._policy, self._resolve, self._network)
        return self._pool, guard.FAILURES

    async def _post(
        self,
        pool: httpcore.AsyncConnectionPool,
        address: Address,
        body: bytes,
        headers: Mapping[str, str],
        bytes_max: int,
    ) -> Answered:
        sent = {"user-agent": "trunkline", "accept-encoding": "identity", **headers}
        length = ("content-length", str(len(body)))
        async with pool.stream(
            "POST", address.url, headers=[*sent.items(), length], content=body, extensions=self._extensions()
        ) as response:
            told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            data = bytearray()
            async for piece in response.aiter_stream():
                data += piece
                if len(data) >= bytes_max:
                    break
            return Answered(response.status, told, bytes(data[:bytes_max]))

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.aclose()

    async def _follow(
        self, pool: httpcore.AsyncConnectionPool, address: Address, bytes_max: int, field: str
    ) -> Fetched:
        for _ in range(HOPS_MAX + 1):
            found = await self._ask(pool, address, bytes_max, field)
            if isinstance(found, Fetched):
                return found
            address = parse(urljoin(address.url, found), field, self._policy)
        raise not_allowed(field)

    async def _ask(
        self, pool: httpcore.AsyncConnectionPool, address: Address, bytes_max: int, field: str
    ) -> Fetched | str:
        """What is there, or where else to look."""
        async with pool.stream("GET", address.url, headers=_HEADERS, extensions=self._extensions()) as response:
            told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            if response.status in _REDIRECTS and "location" in told:
                return told["location"]
            if response.status != 200 or told.get("content-encoding", "identity") != "identity":
                raise invalid(field, "the address does not answer with a plain file", Reason.MEDIA_INVALID)
            data = await _read(response, bytes_max, field)
        return Fetched(data, _media_type(data, told.get("content-type", ""), field))

    def _extensions(self) -> dict[str, dict[str, float]]:
        connect_s, total_s = self._timeouts.connect_s, self._timeouts.total_s
        return {"timeout": {"connect": connect_s, "pool": connect_s, "read": total_s, "write": total_s}}


async def _read(response: httpcore.Response, bytes_max: int, field: str) -> bytes:
    data = bytearray()
    async for piece in response.aiter_stream():
        data += piece
        if len(data) > bytes_max:
            raise invalid(field, f"is larger than {bytes_max} bytes", Reason.MEDIA_INVALID)
    return bytes(data)


def _media_type(data: bytes, declared: str, field: str) -> str:
    for start, magic, media_type in _MAGIC:
        if data.startswith(magic, start):
            return media_type
    media_type = declared.partition(";")[0].strip().lower()
    if any(media_type == known for _, _, known in _MAGIC):
        raise invalid(field, f"is not of the type {media_type!r} that its server declares", Reason.MEDIA_INVALID)
    return media_type or "application/octet-stream"


async def _look_up(host: str, port: int) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    answers = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(answer[4][0]) for answer in answers]
