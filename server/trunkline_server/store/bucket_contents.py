"""The bytes of files in a bucket of S3, or of what speaks like it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from uuid import UUID

from trunkline_server.core.errors import TrunklineError, store_unavailable
from trunkline_server.core.s3_signature import Signer
from trunkline_server.store.contents import PIECE_BYTES, PUT_S_MAX

if TYPE_CHECKING:
    import httpcore

CONNECTIONS_MAX: Final = 16
_TIMES: Final = {"connect": 5.0, "read": PUT_S_MAX, "write": PUT_S_MAX, "pool": 30.0}


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

    def __init__(self, settings: BucketSettings) -> None:
        import httpcore  # noqa: PLC0415 - loaded only where there is a bucket

        self._settings = settings
        self._signer = Signer(settings.region, settings.access_key, settings.secret_key)
        self._failures = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)
        self._pool = httpcore.AsyncConnectionPool(max_connections=CONNECTIONS_MAX, retries=1)

    async def put(self, piece_id: UUID, data: bytes) -> None:
        await self._asked("PUT", piece_id, data, allowed=(200, 201, 204))

    async def get(self, piece_id: UUID) -> bytes:
        return await self._asked("GET", piece_id)

    async def delete(self, piece_id: UUID) -> None:
        await self._asked("DELETE", piece_id, allowed=(200, 202, 204, 404))

    async def close(self) -> None:
        await self._pool.aclose()

    async def _asked(self, method: str, piece_id: UUID, data: bytes = b"", allowed: tuple[int, ...] = (200,)) -> bytes:
        given = self._settings
        path = f"{urlsplit(given.endpoint).path.rstrip('/')}/{given.bucket}/{given.prefix}{piece_id.hex}"
        host = urlsplit(given.endpoint).netloc
        headers = self._signer.headers(method, host, path, data, datetime.now(UTC))
        try:
            async with self._pool.stream(
                method,
                f"{urlsplit(given.endpoint).scheme}://{host}{path}",
                headers=headers,
                content=data,
                extensions={"timeout": _TIMES},
            ) as response:
                body = await _read(response)
        except self._failures as error:
            raise store_unavailable() from error
        if response.status not in allowed:
            raise _refused(response.status)
        return body


async def _read(response: httpcore.Response) -> bytes:
    """No answer is longer than a piece."""
    body = bytearray()
    async for data in response.aiter_stream():
        body += data
        if len(body) > PIECE_BYTES:
            raise store_unavailable()
    return bytes(body)


def _refused(status: int) -> TrunklineError:
    """Its status is for the log of faults."""
    error = store_unavailable()
    error.__cause__ = OSError(f"the bucket answered {status}")
    return error
