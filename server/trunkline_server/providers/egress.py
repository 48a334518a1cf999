"""Fetches from addresses that callers give, and posts to them: only public ones, checked when dialled, with nothing of
ours sent along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final
from uuid import UUID

from trunkline_server.core.address import Address, EgressPolicy, beyond, not_allowed, parse
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.providers.client import ClientSettings, Response
from trunkline_server.providers.guard import Ways, guarded
from trunkline_server.providers.http.network import INTERNET, Network
from trunkline_server.wire.http import HttpRequest

HOPS_MAX: Final = 3
_IDLE_S: Final = 4.0
"""Less than the five seconds after which many servers hang up: a request must not cross that."""
_CONNECTIONS_MAX: Final = 64
_KNOWN: Final = 256
"""Addresses whose spelling was judged; where they lead is judged each time."""
_BYTES_MAX: Final = 64 * 1024 * 1024
"""Who reads wants less than this."""
_HEADERS: Final = {"accept": "*/*"}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MAGIC: Final[tuple[tuple[int, bytes, str], ...]] = (
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
    """How long a fetch may take: one connection, and everything together; and how long that connection is of use."""

    connect_s: float = 3.0
    total_s: float = 10.0
    keep_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was behind an address; `media_type` by its first bytes where they tell, else as declared."""

    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What a post was answered with; header names are found in any case."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class Egress:
    """The guarded client. `owner` is the tenant that an address is asked for; none: the operator.

    Every URL_NOT_ALLOWED says the same, whether an address is forbidden or nobody answers there.
    """

    def __init__(
        self, policy: EgressPolicy, timeouts: EgressTimeouts | None = None, network: Network = INTERNET
    ) -> None:
        self._policy = policy
        self._parsed = lru_cache(_KNOWN)(partial(parse, policy=policy))
        self._timeouts = timeouts or EgressTimeouts()
        self._ways = Ways(guarded(network, policy), _settings(self._timeouts))

    async def fetch(self, url: str, *, owner: UUID | None, bytes_max: int, field: str) -> Fetched:
        """The bytes at `url`, at most `bytes_max`; errors name `field`. URL_NOT_ALLOWED, MEDIA_INVALID."""
        try:
            async with asyncio.timeout(self._timeouts.total_s):
                return await self._follow(self._parsed(url, field), owner, bytes_max, field)
        except (UpstreamFailure, TimeoutError):
            raise not_allowed(field) from None

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, owner: UUID | None, bytes_max: int, field: str
    ) -> Answered:
        """Sends `body`, and reads at most `bytes_max` of the answer; a redirect is an answer like any other.

        Raises URL_NOT_ALLOWED, also where nobody answers, and DEADLINE where somebody does so too late.
        """
        address = self._parsed(url, field)
        try:
            async with (
                asyncio.timeout(self._timeouts.total_s),
                self._ways.asked(owner, address, HttpRequest("POST", address.target, headers, body)) as answer,
            ):
                return Answered(answer.status, answer.headers, (await _read(answer, bytes_max))[:bytes_max])
        except TimeoutError:
            raise TrunklineError(Reason.DEADLINE, "the address did not answer in time") from None
        except UpstreamFailure:
            raise not_allowed(field) from None

    @asynccontextmanager
    async def exchange(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], *, owner: UUID | None, field: str
    ) -> AsyncIterator[Response]:
        """An answer for whoever asks to read, who also bounds its time and its size; a redirect is one like any other.

        Raises URL_NOT_ALLOWED, and TOOL_FAILED where nobody answers or may be asked: it does not tell which.
        """
        address = self._parsed(url, field)
        try:
            async with self._ways.asked(owner, address, HttpRequest(method, address.target, headers, body)) as answer:
                yield answer
        except UpstreamFailure:
            raise TrunklineError(Reason.TOOL_FAILED, "the address cannot be reached") from None

    async def close(self) -> None:
        await self._ways.close()

    async def _follow(self, address: Address, owner: UUID | None, bytes_max: int, field: str) -> Fetched:
        for _ in range(HOPS_MAX + 1):
            found = await self._ask(address, owner, bytes_max, field)
            if isinstance(found, Fetched):
                return found
            address = beyond(address, found, field, self._policy)
        raise not_allowed(field)

    async def _ask(self, address: Address, owner: UUID | None, bytes_max: int, field: str) -> Fetched | str:
        """What is there, or where else to look."""
        async with self._ways.asked(owner, address, HttpRequest("GET", address.target, _HEADERS)) as answer:
            told = answer.headers
            if answer.status in _REDIRECTS and "location" in told:
                return told["location"]
            if answer.status != 200 or told.get("content-encoding", "identity") != "identity":
                raise invalid(field, "the address does not answer with a plain file", Reason.MEDIA_INVALID)
            data = await _read(answer, bytes_max)
        if len(data) > bytes_max:
            raise invalid(field, f"is larger than {bytes_max} bytes", Reason.MEDIA_INVALID)
        return Fetched(data, _media_type(data, told.get("content-type", ""), field))


def _settings(timeouts: EgressTimeouts) -> ClientSettings:
    """A kept connection goes where a name led when it was dialled, and so does not live for long."""
    return ClientSettings(
        connect_timeout_s=timeouts.connect_s,
        read_timeout_s=timeouts.total_s,
        keep_alive_s=min(_IDLE_S, timeouts.keep_s),
        age_s_max=timeouts.keep_s,
        connections_max=_CONNECTIONS_MAX,
        body_bytes_max=_BYTES_MAX,
    )


async def _read(answer: Response, bytes_max: int) -> bytes:
    """All of it, or more than `bytes_max`: the rest is not waited for."""
    data = bytearray()
    async with aclosing(answer.chunks()) as pieces:
        async for piece in pieces:
            data += piece
            if len(data) > bytes_max:
                break
    return bytes(data)


def _media_type(data: bytes, declared: str, field: str) -> str:
    for start, magic, media_type in _MAGIC:
        if data.startswith(magic, start):
            return media_type
    media_type = declared.partition(";")[0].strip().lower()
    if any(media_type == known for _, _, known in _MAGIC):
        raise invalid(field, f"is not of the type {media_type!r} that its server declares", Reason.MEDIA_INVALID)
    return media_type or "application/octet-stream"
