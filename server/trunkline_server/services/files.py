"""FileService: files come in and go out in pieces, so that none of them is ever held whole."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from trunkline.v1 import files_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.text import readable
from trunkline_server.store.archive import Archive
from trunkline_server.store.contents import PIECE_BYTES
from trunkline_server.store.files import FileRow

FILE_BYTES_MAX: Final = 512 * 1024 * 1024
UPLOADS_MAX: Final = 16
"""Of a tenant at once, for each holds a piece in memory."""
LINGER_S: Final = 2.0
CHUNK_BYTES: Final = 256 * 1024


@dataclass(frozen=True)
class FileService:
    """The tenant's files, whoever of its users asks."""

    archive: Archive
    tokens: PageTokens
    uploads: Counter[UUID] = field(default_factory=Counter)

    async def upload_file(
        self, call: Call, requests: AsyncIterator[files_pb2.UploadFileRequest]
    ) -> files_pb2.UploadFileResponse:
        first = await anext(requests, None)
        if first is None:
            raise invalid("file", "is missing")
        with self._place(call.caller.tenant_id):
            try:
                file = await self._begun(call, first)
                if not file.is_ready:
                    file = await _Intake(self.archive, file).take(first, requests)
            finally:
                await _hear_out(requests)
        return files_pb2.UploadFileResponse(file=file.message())

    async def get_file(self, call: Call, request: files_pb2.GetFileRequest) -> files_pb2.GetFileResponse:
        caller, files = call.caller, self.archive.files
        if request.WhichOneof("which") == "upload_request_id":
            file = await files.begun(caller.tenant_id, caller.principal, request.upload_request_id)
        else:
            file = await self._find(call, request.file_id)
        told = file.message()
        told.copies.extend(copy.message() for copy in await files.copies(file.id))
        return files_pb2.GetFileResponse(file=told)

    async def list_files(self, call: Call, request: files_pb2.ListFilesRequest) -> files_pb2.ListFilesResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        rows = await self.archive.files.page(call.caller.tenant_id, paging.behind_id, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.id.hex,))
        return files_pb2.ListFilesResponse(files=[row.message() for row in page], next_page_token=token)

    async def download_file(
        self, call: Call, request: files_pb2.DownloadFileRequest
    ) -> AsyncGenerator[files_pb2.DownloadFileResponse, None]:
        file = await self._find(call, request.file_id)
        if not file.is_ready:
            raise invalid("file_id", f"is not complete: {file.received_bytes} bytes of it have come")
        if request.offset > file.received_bytes:
            raise invalid("offset", f"is behind the end of the file, which has {file.received_bytes} bytes")
        yield files_pb2.DownloadFileResponse(file=file.message())
        async with aclosing(self.archive.read(file, request.offset)) as pieces:
            async for piece in pieces:
                for begin in range(0, len(piece), CHUNK_BYTES):
                    yield files_pb2.DownloadFileResponse(data=piece[begin : begin + CHUNK_BYTES])

    async def delete_file(self, call: Call, request: files_pb2.DeleteFileRequest) -> files_pb2.DeleteFileResponse:
        await self.archive.files.delete(call.caller.tenant_id, readable("file_id", request.file_id))
        return files_pb2.DeleteFileResponse()

    async def _find(self, call: Call, name: str) -> FileRow:
        return await self.archive.files.find(call.caller.tenant_id, readable("file_id", name))

    async def _begun(self, call: Call, first: files_pb2.UploadFileRequest) -> FileRow:
        """The file that the first message is about."""
        match first.WhichOneof("upload"):
            case "file":
                return await self._new(call, first.file, first.request_id or call.idempotency_key)
            case "file_id":
                return await self._find(call, first.file_id)
            case None:
                raise invalid("file", "is missing: the first message says what is uploaded")

    async def _new(self, call: Call, spec: files_pb2.FileSpec, request_id: str) -> FileRow:
        _check(spec)
        ttl = spec.ttl.ToTimedelta() if spec.HasField("ttl") else None
        caller = call.caller
        file = await self.archive.files.begin(caller.tenant_id, caller.principal, spec, request_id, ttl)
        if file.spec != spec:
            message = "this request_id was used for another file; choose a new one"
            raise TrunklineError(Reason.IDEMPOTENCY_KEY_REUSED, message)
        return file

    @contextmanager
    def _place(self, tenant_id: UUID) -> Iterator[None]:
        """Raises CONCURRENCY_LIMITED."""
        if self.uploads[tenant_id] >= UPLOADS_MAX:
            message = f"{UPLOADS_MAX} uploads go on already; wait for one to end"
            raise TrunklineError(Reason.CONCURRENCY_LIMITED, message, retry_after_s=1.0)
        self.uploads[tenant_id] += 1
        try:
            yield
        finally:
            self.uploads[tenant_id] -= 1
            if not self.uploads[tenant_id]:
                del self.uploads[tenant_id]


class _Intake:
    """One upload: gathers pieces, and knows the checksum of all that is there."""

    def __init__(self, archive: Archive, file: FileRow) -> None:
        self._archive = archive
        self._file = file
        self._size_max = file.spec.size_bytes or FILE_BYTES_MAX
        self._safe_bytes = file.received_bytes
        self._waiting = bytearray()
        self._digest = hashlib.sha256()

    async def take(
        self, first: files_pb2.UploadFileRequest, rest: AsyncIterator[files_pb2.UploadFileRequest]
    ) -> FileRow:
        """All of it. Raises VALIDATION, MEDIA_INVALID, IDEMPOTENCY_IN_PROGRESS."""
        known = self._safe_bytes - first.offset
        if known < 0:
            raise self._short("offset", "is behind what has come")
        await self._remember()
        await self._more(first.data[known:])
        known -= min(known, len(first.data))
        async for request in rest:
            if request.WhichOneof("upload") or request.offset or request.request_id:
                raise invalid("data", "is all that messages after the first may have")
            await self._more(request.data[known:])
            known -= min(known, len(request.data))
        return await self._finished()

    async def _remember(self) -> None:
        """The checksum of what an upload before this one has brought."""
        async with aclosing(self._archive.read(self._file)) as pieces:
            async for piece in pieces:
                await asyncio.to_thread(self._digest.update, piece)

    async def _more(self, data: bytes) -> None:
        self._waiting += data
        if self._safe_bytes + len(self._waiting) > self._size_max:
            await self._refuse("data", f"has more than {self._size_max} bytes")
        while len(self._waiting) >= PIECE_BYTES:
            await self._add(bytes(self._waiting[:PIECE_BYTES]))
            del self._waiting[:PIECE_BYTES]

    async def _add(self, piece: bytes) -> None:
        await self._archive.add(self._file, self._safe_bytes, piece)
        await asyncio.to_thread(self._digest.update, piece)
        self._safe_bytes += len(piece)

    async def _finished(self) -> FileRow:
        if self._waiting:
            await self._add(bytes(self._waiting))
        spec = self._file.spec
        if self._safe_bytes < spec.size_bytes:
            raise self._short("data", f"ends before its {spec.size_bytes} bytes")
        if spec.sha256 and spec.sha256 != self._digest.hexdigest():
            await self._refuse("data", "does not have the SHA-256 that was told")
        file = await self._archive.files.finish(self._file.id, self._safe_bytes, self._digest.digest())
        if file is None:
            raise TrunklineError(Reason.IDEMPOTENCY_IN_PROGRESS, "the upload was ended by somebody else")
        return file

    async def _refuse(self, path: str, why: str) -> None:
        await self._archive.files.discard(self._file.id)
        raise invalid(path, why, Reason.MEDIA_INVALID)

    def _short(self, path: str, why: str) -> TrunklineError:
        """It can go on."""
        error = invalid(path, f"{why}; go on at byte {self._safe_bytes} of {self._file.name}")
        error.metadata = {"fileId": self._file.name, "receivedBytes": str(self._safe_bytes)}
        return error


async def _hear_out(requests: AsyncIterator[object]) -> None:
    """What is still on its way is read for a moment: some clients take no answer while they send.

    What is wrong with it is not told any more: there is an answer already.
    """
    with suppress(TimeoutError, TrunklineError):
        async with asyncio.timeout(LINGER_S):
            async for _ in requests:
                pass


def _check(spec: files_pb2.FileSpec) -> None:
    """Raises VALIDATION: what a store cannot keep, and what a log should not show."""
    readable("file.filename", spec.filename)
    for name, value in spec.labels.items():
        readable("file.labels", name)
        readable("file.labels", value)
