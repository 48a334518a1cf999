"""The bytes of files in a bucket of S3, or of what speaks like it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import quote, urlsplit
from uuid import UUID

from trunkline_server.core.errors import TrunklineError, store_unavailable
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.core.s3_signature import Signer
from trunkline_server.store.contents import PIECE_BYTES
from trunkline_server.wire.http import HttpRequest


class Answer(Protocol):
    """What the bucket says."""

    @property
    def status(self) -> int: ...

    async def read(self, limit: int) -> bytes: ...


class Transport(Protocol):
    """Carries requests to the endpoint, below its path. Raises UpstreamFailure."""

    def open(self, request: HttpRequest) -> AbstractAsyncContextManager[Answer]: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class BucketSettings:
    """`endpoint` has scheme and host; the bucket stands in the path, which all servers understand."""

    endpoint: str
    bucket: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    prefix: str = ""


class BucketContents:
    """An object for each piece. What fails is told as an outage: the bucket's own words may name its owner."""

    def __init__(self, settings: BucketSettings, transport: Transport) -> None:
        endpoint = urlsplit(settings.endpoint)
        self._host, self._before = endpoint.netloc, endpoint.path.rstrip("/")
        self._folder = f"/{settings.bucket}/{settings.prefix}"
        self._signer = Signer(settings.region, settings.access_key, settings.secret_key)
        self._transport = transport

    async def put(self, piece_id: UUID, data: bytes) -> None:
        await self._asked("PUT", piece_id, data, allowed=(200, 201, 204))

    async def get(self, piece_id: UUID) -> bytes:
        return await self._asked("GET", piece_id)

    async def delete(self, piece_id: UUID) -> None:
        await self._asked("DELETE", piece_id, allowed=(200, 202, 204, 404))

    async def close(self) -> None:
        await self._transport.close()

    async def _asked(self, method: str, piece_id: UUID, data: bytes = b"", allowed: tuple[int, ...] = (200,)) -> bytes:
        path = f"{self._folder}{piece_id.hex}"
        headers = self._signer.headers(method, self._host, self._before + path, data, datetime.now(UTC))
        try:
            async with self._transport.open(HttpRequest(method, quote(path), headers, data)) as answer:
                if answer.status not in allowed:
                    raise _refused(answer.status)
                return await answer.read(PIECE_BYTES)
        except UpstreamFailure as error:
            raise store_unavailable() from error


def _refused(status: int) -> TrunklineError:
    """Its status is for the log of faults."""
    error = store_unavailable()
    error.__cause__ = OSError(f"the bucket answered {status}")
    return error
