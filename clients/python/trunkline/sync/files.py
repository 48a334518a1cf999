"""Files that calls can refer to."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

from trunkline.errors import NotFound, Unavailable
from trunkline.media import created
from trunkline.sync.connection import Connection
from trunkline.upload import Source, Upload, opened, spec_of
from trunkline.v1 import files_pb2, files_pb2_grpc
from trunkline.waiting import Tries

Which: TypeAlias = str | files_pb2.File


class Files:
    """The files of a tenant. Give one to a call as `document(file)` or `image(file)`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = files_pb2_grpc.FileServiceStub(connection.channel)

    def upload(
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
            return self._brought(Upload(file, spec, request_id or uuid4().hex), timeout_s)

    def download(self, file: Which, *, timeout_s: float | None = None) -> Iterator[bytes]:
        """Its bytes in pieces. Goes on where it was when a replica goes away."""
        tries, had_bytes = Tries(), 0
        while True:
            try:
                for piece in self._from(had_bytes, file, timeout_s):
                    had_bytes += len(piece)
                    yield piece
            except Unavailable as error:
                time.sleep(tries.pause_s(error, had_bytes))
            else:
                return

    def read(self, file: Which) -> bytes:
        """All of its bytes."""
        return b"".join([piece for piece in self.download(file)])

    def save(self, file: Which, path: str | Path) -> Path:
        """Writes it to a file as it comes."""
        with created(path) as written:
            for piece in self.download(file):
                written.write(piece)
        return Path(path)

    def get(self, file: Which) -> files_pb2.File:
        """What it is, and where copies of it are."""
        request = files_pb2.GetFileRequest(file_id=_id(file))
        return (self._connection.look(self._stub.GetFile, request)).file

    def list(self) -> Iterator[files_pb2.File]:
        """Newest first."""
        for page in self._connection.pages(self._stub.ListFiles, files_pb2.ListFilesRequest()):
            for file in page.files:
                yield file

    def delete(self, file: Which) -> None:
        """At once; its copies at providers soon."""
        self._connection.look(self._stub.DeleteFile, files_pb2.DeleteFileRequest(file_id=_id(file)))

    def _brought(self, upload: Upload, timeout_s: float | None) -> files_pb2.File:
        tries = Tries()
        while True:
            try:
                requests = upload.requests()
                return (self._connection.bring(self._stub.UploadFile, requests, timeout_s=timeout_s)).file
            except Unavailable as error:
                time.sleep(tries.pause_s(error, upload.known_bytes))
            with suppress(NotFound, Unavailable):  # then it begins anew, or the next try tells
                upload.go_on(self._begun(upload.request_id))

    def _begun(self, request_id: str) -> files_pb2.File:
        request = files_pb2.GetFileRequest(upload_request_id=request_id)
        return (self._connection.look(self._stub.GetFile, request)).file

    def _from(self, offset: int, file: Which, timeout_s: float | None) -> Iterator[bytes]:
        request = files_pb2.DownloadFileRequest(file_id=_id(file), offset=offset)
        told = self._connection.stream(self._stub.DownloadFile, request, timeout_s=timeout_s)
        try:
            for part in told:
                if part.data:
                    yield part.data
        finally:
            told.cancel()


def _id(file: Which) -> str:
    return file if isinstance(file, str) else file.file_id
