"""A file on its way to the gateway, in pieces that an upload which broke off can go on from."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from trunkline.v1 import files_pb2
from trunkline.work import duration

Source: TypeAlias = bytes | str | Path | BinaryIO
"""Bytes, the path of a file, or an open one that can be rewound."""
PIECE_BYTES: Final = 1024 * 1024


class Upload:
    """What is uploaded, and how much of it the gateway has."""

    def __init__(self, file: BinaryIO, spec: files_pb2.FileSpec, request_id: str) -> None:
        self._file = file
        self._first = files_pb2.UploadFileRequest(file=spec, request_id=request_id)
        self.request_id = request_id
        self.known_bytes = 0

    def go_on(self, begun: files_pb2.File) -> None:
        """Where the gateway has it until now."""
        self.known_bytes = begun.received_bytes
        self._first = files_pb2.UploadFileRequest(file_id=begun.file_id, offset=begun.received_bytes)

    def requests(self) -> Iterator[files_pb2.UploadFileRequest]:
        self._file.seek(self.known_bytes)
        yield self._first
        while piece := self._file.read(PIECE_BYTES):
            yield files_pb2.UploadFileRequest(data=piece)


def opened(source: Source) -> AbstractContextManager[BinaryIO]:
    """Closed at the end, if it was opened here."""
    if isinstance(source, bytes):
        return BytesIO(source)
    return Path(source).open("rb") if isinstance(source, str | Path) else nullcontext(source)


def spec_of(
    source: Source, *, name: str, media_type: str, keep: timedelta | None, labels: Mapping[str, str] | None
) -> files_pb2.FileSpec:
    """`name` is the file's own where it has one."""
    filename = name or Path(source if isinstance(source, str | Path) else "file").name
    guessed = media_type or mimetypes.guess_type(filename)[0] or ""
    return files_pb2.FileSpec(filename=filename, media_type=guessed, ttl=duration(keep), labels=labels)
