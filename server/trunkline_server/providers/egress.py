"""Fetches from addresses that callers give: only public ones, checked when dialled, with nothing of ours sent along."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from trunkline_server.core.address import Address, EgressPolicy, not_allowed, parse
from trunkline_server.core.errors import Reason, invalid

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
        from trunkline_server.providers import guard  # noqa: PLC0415  brings the HTTP library, with the first fetch

        self._pool = self._pool or guard.pool(self._policy, self._resolve, self._network)
        try:
            async with asyncio.timeout(self._timeouts.total_s):
                return await self._follow(self._pool, address, bytes_max, field)
        except guard.FAILURES:
            raise not_allowed(field) from None

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
