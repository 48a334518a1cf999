"""Files that calls can refer to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

from trunkline.aio.connection import AsyncConnection
from trunkline.errors import NotFound, Unavailable
from trunkline.media import created
from trunkline.upload import Source, Upload, opened, spec_of
from trunkline.v1 import files_pb2, files_pb2_grpc
from trunkline.waiting import Tries

Which: TypeAlias = str | files_pb2.File


class AsyncFiles:
    """The files of a tenant. Give one to a call as `document(file)` or `image(file)`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._stub = files_pb2_grpc.FileServiceStub(connection.channel)

    async def upload(
        self,
        source: Source,
        *,
        name: str = "",
        media_type: str = "",
        keep: timedelta | None = None,
        labels: Mapping[str, str] | None = None,
        request_id: str = "",
        timeout_s: float | None = None,
    ) -> files_pb2.File:
        """Kept for so long, else until it is deleted. Goes on where it was when a replica goes away."""
        spec = spec_of(source, name=name, media_type=media_type, keep=keep, labels=labels)
        with opened(source) as file:
            return await self._brought(Upload(file, spec, request_id or uuid4().hex), timeout_s)

    async def download(self, file: Which, *, timeout_s: float | None = None) -> AsyncIterator[bytes]:
        """Its bytes in pieces. Goes on where it was when a replica goes away."""
        tries, had_bytes = Tries(), 0
        while True:
            try:
                async for piece in self._from(had_bytes, file, timeout_s):
                    had_bytes += len(piece)
                    yield piece
            except Unavailable as error:
                await asyncio.sleep(tries.pause_s(error, had_bytes))
            else:
                return

    async def read(self, file: Which) -> bytes:
        """All of its bytes."""
        return b"".join([piece async for piece in self.download(file)])

    async def save(self, file: Which, path: str | Path) -> Path:
        """Writes it to a file as it comes."""
        with created(path) as written:
            async for piece in self.download(file):
                written.write(piece)
        return Path(path)

    async def get(self, file: Which) -> files_pb2.File:
        """What it is, and where copies of it are."""
        request = files_pb2.GetFileRequest(file_id=_id(file))
        return (await self._connection.look(self._stub.GetFile, request)).file

    async def list(self) -> AsyncIterator[files_pb2.File]:
        """Newest first."""
        async for page in self._connection.pages(self._stub.ListFiles, files_pb2.ListFilesRequest()):
            for file in page.files:
                yield file

    async def delete(self, file: Which) -> None:
        """At once; its copies at providers soon."""
        await self._connection.look(self._stub.DeleteFile, files_pb2.DeleteFileRequest(file_id=_id(file)))

    async def _brought(self, upload: Upload, timeout_s: float | None) -> files_pb2.File:
        tries = Tries()
        while True:
            try:
                requests = upload.requests()
                return (await self._connection.bring(self._stub.UploadFile, requests, timeout_s=timeout_s)).file
            except Unavailable as error:
                await asyncio.sleep(tries.pause_s(error, upload.known_bytes))
            with suppress(NotFound, Unavailable):  # then it begins anew, or the next try tells
                upload.go_on(await self._begun(upload.request_id))

    async def _begun(self, request_id: str) -> files_pb2.File:
        request = files_pb2.GetFileRequest(upload_request_id=request_id)
        return (await self._connection.look(self._stub.GetFile, request)).file

    async def _from(self, offset: int, file: Which, timeout_s: float | None) -> AsyncIterator[bytes]:
        request = files_pb2.DownloadFileRequest(file_id=_id(file), offset=offset)
        told = self._connection.stream(self._stub.DownloadFile, request, timeout_s=timeout_s)
        try:
            async for part in told:
                if part.data:
                    yield part.data
        finally:
            told.cancel()


def _id(file: Which) -> str:
    return file if isinstance(file, str) else file.file_id
