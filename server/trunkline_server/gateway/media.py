"""Brings the files of a call to providers: callers' own by their ids, and what is behind addresses to those that fetch
nothing; and names the type of every picture."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from uuid import UUID

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core import ids, media
from trunkline_server.core.blobs import blobs_of
from trunkline_server.core.errand import Input, InputT
from trunkline_server.core.errors import Reason, invalid
from trunkline_server.core.question import blob_of, check_data
from trunkline_server.gateway.attachments import attached
from trunkline_server.gateway.file_search import searches, with_stores
from trunkline_server.providers.egress import Egress, Fetched
from trunkline_server.store.archive import Archive
from trunkline_server.store.vector_stores import VectorStores

CONCURRENT_MAX: Final = 8
FILES_MAX: Final = 64
TOTAL_BYTES_MAX: Final = 64 * 1024 * 1024
BYTES_MAX: Final = {"image": 20 * 1024 * 1024, "audio": 25 * 1024 * 1024, "document": 32 * 1024 * 1024}

_UNTOLD: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class _File:
    """One blob and where it stands in the question."""

    blob: content_pb2.Blob
    kind: str
    path: str

    @property
    def is_far(self) -> bool:
        return self.blob.WhichOneof("source") == "uri"

    @property
    def is_ours(self) -> bool:
        """A file that was uploaded here; other ids are the provider's."""
        return self.blob.WhichOneof("source") == "file_id" and ids.parse("file", self.blob.file_id) is not None

    @property
    def is_misnamed(self) -> bool:
        """Bytes whose type is not told, or not in its usual spelling."""
        told = self.blob.media_type
        return self.blob.WhichOneof("source") == "data" and (not told or media.normal(told) != told)


class Media:
    """Fetches through the guarded client alone."""

    def __init__(self, egress: Egress, archive: Archive, stores: VectorStores) -> None:
        self._egress = egress
        self._archive = archive
        self._stores = stores

    async def inline(self, tenant_id: UUID, input: InputT, *, takes_urls: bool) -> InputT:
        """The work as a provider takes it; the same object where nothing is to do.

        Raises URL_NOT_ALLOWED, MEDIA_INVALID, RESOURCE_NOT_FOUND.
        """
        if isinstance(input, chat_pb2.ChatInput) and (input.file_ids or input.tools):
            input = cast("InputT", await self._referred(tenant_id, input))
        if not any(file.is_misnamed or file.is_ours or (file.is_far and not takes_urls) for file in _files(input)):
            return input
        whole = type(input)()
        whole.CopyFrom(cast("Any", input))
        files = list(_files(whole))
        for file in files:
            if file.is_misnamed:
                file.blob.media_type = media.normal(file.blob.media_type) or media.sniff(file.blob.data)
        await self._bring(tenant_id, [file for file in files if file.is_ours or (file.is_far and not takes_urls)])
        return whole

    async def _referred(self, tenant_id: UUID, input: chat_pb2.ChatInput) -> chat_pb2.ChatInput:
        """With what the question only names; the same object where it names nothing of ours."""
        if input.file_ids:
            input = await attached(self._archive.files, tenant_id, input)
        if input.tools and searches(input):
            input = await with_stores(self._stores, tenant_id, input)
        return input

    async def _bring(self, tenant_id: UUID, files: Sequence[_File]) -> None:
        """Replace ids and addresses by bytes; the first that fails ends the others."""
        if len(files) > FILES_MAX:
            raise invalid(files[FILES_MAX].path, f"is one too many: at most {FILES_MAX} files are fetched")
        fetches = _Fetches(self._egress, self._archive, tenant_id)
        try:
            async with asyncio.TaskGroup() as group:
                for file in files:
                    group.create_task(fetches.bring(file))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None


class _Fetches:
    """The fetches of one question: so many at once, so many bytes together."""

    def __init__(self, egress: Egress, archive: Archive, tenant_id: UUID) -> None:
        self._egress = egress
        self._archive = archive
        self._tenant_id = tenant_id
        self._turn = asyncio.Semaphore(CONCURRENT_MAX)
        self._room_bytes = TOTAL_BYTES_MAX

    async def bring(self, file: _File) -> None:
        field = f"{file.path}.{file.blob.WhichOneof('source')}"
        async with self._turn:
            fetched = await self._fetched(file, field)
        self._room_bytes -= len(fetched.data)
        if self._room_bytes < 0:
            raise invalid(
                field, f"is too much: all files together have over {TOTAL_BYTES_MAX} bytes", Reason.MEDIA_INVALID
            )
        told = "" if fetched.media_type == _UNTOLD else fetched.media_type
        file.blob.media_type = check_data(fetched.data, file.blob.media_type or told, file.kind, file.path)
        file.blob.data = fetched.data

    async def _fetched(self, file: _File, field: str) -> Fetched:
        if not file.is_ours:
            return await self._egress.fetch(file.blob.uri, bytes_max=BYTES_MAX[file.kind], field=field)
        found = await self._archive.files.find(self._tenant_id, file.blob.file_id)
        data = await self._archive.whole(found, bytes_max=BYTES_MAX[file.kind], field=field)
        file.blob.filename = file.blob.filename or found.spec.filename
        return Fetched(data, found.spec.media_type)


def _files(input: Input) -> Iterator[_File]:
    if isinstance(input, chat_pb2.ChatInput):
        for index, message in enumerate(input.messages):
            for at, part in enumerate(message.parts):
                if (kind := part.WhichOneof("kind")) != "text":
                    yield from _files_of(part, kind, f"input.messages[{index}].parts[{at}]")
    else:
        yield from (_File(blob, kind, f"input.{path}") for blob, kind, path in blobs_of(input))


def _files_of(part: content_pb2.Part, kind: str | None, place: str) -> Iterator[_File]:
    if kind in BYTES_MAX and not (kind == "document" and part.document.WhichOneof("body") == "text"):
        yield _File(blob_of(part), kind, f"{place}.{kind}.blob")
    elif kind == "tool_result":
        for index, told in enumerate(part.tool_result.parts):
            yield from _files_of(told, told.WhichOneof("kind"), f"{place}.tool_result.parts[{index}]")
