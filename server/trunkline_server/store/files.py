"""The tables of files, of their pieces, and of their copies at providers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from trunkline.v1 import files_pb2
from trunkline_server.core import ids
from trunkline_server.core.errors import not_found
from trunkline_server.core.moment import timestamp
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)

OPERATORS: Final = UUID(int=0)
"""The account at a provider that is the operator's, and no tenant's."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file as it is now."""

    id: UUID
    spec: files_pb2.FileSpec
    received_bytes: int
    sha256: bytes | None
    create_time: datetime
    expire_time: datetime | None

    @property
    def is_ready(self) -> bool:
        return self.sha256 is not None

    @property
    def name(self) -> str:
        return ids.spell("file", self.id)

    def message(self) -> files_pb2.File:
        """Without its copies."""
        return files_pb2.File(
            file_id=self.name,
            spec=self.spec,
            state=files_pb2.FILE_STATE_READY if self.is_ready else files_pb2.FILE_STATE_UPLOADING,
            received_bytes=self.received_bytes,
            sha256=self.sha256.hex() if self.sha256 else "",
            create_time=timestamp(self.create_time),
            expire_time=timestamp(self.expire_time),
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of a file, and where they stand in it."""

    id: UUID
    begin_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Copy:
    """A file at a provider. `account_id`: with whose key it was brought there."""

    file_id: UUID
    provider: str
    account_id: UUID
    purpose: str
    provider_file_id: str
    create_time: datetime

    def message(self) -> files_pb2.ProviderFile:
        return files_pb2.ProviderFile(
            provider=self.provider,
            provider_file_id=self.provider_file_id,
            purpose=self.purpose,
            create_time=timestamp(self.create_time),
        )


class Files:
    """A file is found within its tenant, until it is deleted or over its time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(
        self, tenant_id: UUID, principal: str, spec: files_pb2.FileSpec, request_id: str, ttl: timedelta | None
    ) -> FileRow:
        """A new file, or the one that this request id has begun, whatever its spec."""
        given = (tenant_id, principal, request_id or None, ids.new_uuid(), spec.SerializeToString(), ttl)
        async with self._database.of(tenant_id).transaction() as connection:
            if request_id:
                await connection.execute(_SQL.let_go, tenant_id, principal, request_id)
            row = await connection.fetchrow(_SQL.begin, *given)
        return await self.begun(tenant_id, principal, request_id) if row is None else _row(row)

    async def begun(self, tenant_id: UUID, principal: str, request_id: str) -> FileRow:
        """By the name of its upload. Raises RESOURCE_NOT_FOUND."""
        row = await self._database.of(tenant_id).fetchrow(_SQL.begun, tenant_id, principal, request_id)
        if row is None:
            raise not_found("file", request_id)
        return _row(row)

    async def find(self, tenant_id: UUID, name: str) -> FileRow:
        """Raises RESOURCE_NOT_FOUND, also for another tenant's."""
        row = await self._database.of(tenant_id).fetchrow(_SQL.find, tenant_id, ids.parse("file", name))
        if row is None:
            raise not_found("file", name)
        return _row(row)

    async def page(self, tenant_id: UUID, before: UUID | None, limit: int) -> list[FileRow]:
        """Newest first."""
        return [_row(row) for row in await self._database.of(tenant_id).fetch(_SQL.page, tenant_id, before, limit)]

    async def delete(self, tenant_id: UUID, name: str) -> None:
        """Nobody finds it any more. Raises RESOURCE_NOT_FOUND."""
        if await self._database.of(tenant_id).fetchval(_SQL.delete, tenant_id, ids.parse("file", name)) is None:
            raise not_found("file", name)

    async def intend(self, file_id: UUID, piece_id: UUID, size_bytes: int) -> bool:
        """A piece is about to be put, so that it is found whatever happens. False: the file is gone."""
        return await self._database.execute(_SQL.intend, file_id, piece_id, size_bytes) == "INSERT 0 1"

    async def place(self, file_id: UUID, piece_id: UUID, begin_bytes: int) -> bool:
        """The piece is put, and stands there. False: another stands there already, or the file is gone."""
        return await self._database.fetchval(_SQL.place, file_id, piece_id, begin_bytes) is not None

    async def finish(self, file_id: UUID, size_bytes: int, sha256: bytes) -> FileRow | None:
        """All of it is there. None: it is gone, or not what it was."""
        row = await self._database.fetchrow(_SQL.finish, file_id, size_bytes, sha256)
        return None if row is None else _row(row)

    async def discard(self, file_id: UUID) -> None:
        """It will never be what it was said to be."""
        await self._database.execute(_SQL.discard, file_id)

    async def pieces(self, file_id: UUID, offset: int) -> list[Piece]:
        """In their order, those that end behind `offset`."""
        return [Piece(*row) for row in await self._database.fetch(_SQL.pieces, file_id, offset)]

    async def copies(self, file_id: UUID) -> list[Copy]:
        """At providers."""
        return [Copy(*row) for row in await self._database.fetch(_SQL.copies, file_id)]

    async def note_copy(self, file_id: UUID, provider: str, account_id: UUID, purpose: str, named: str) -> Copy:
        """A copy was made; the one that counts, which may be another's. Raises RESOURCE_NOT_FOUND where the file is
        forgotten meanwhile."""
        try:
            row = await self._database.fetchrow(_SQL.note_copy, file_id, provider, account_id, purpose, named)
        except asyncpg.ForeignKeyViolationError:
            raise not_found("file", ids.spell("file", file_id)) from None
        return Copy(*(row or ()))

    async def expire(self, unfinished: timedelta) -> None:
        """Files over their time, and uploads that nobody went on with, are gone."""
        await self._database.execute(_SQL.expire, unfinished)

    async def gone_pieces(self, settled: timedelta, limit: int) -> list[UUID]:
        """Of files that are gone for so long that no piece of theirs is still on its way."""
        return [row[0] for row in await self._database.fetch(_SQL.gone_pieces, settled, limit)]

    async def forget_piece(self, piece_id: UUID) -> None:
        """Its bytes are gone."""
        await self._database.execute(_SQL.forget_piece, piece_id)

    async def gone_copies(self, limit: int) -> list[Copy]:
        """Of files that are gone."""
        return [Copy(*row) for row in await self._database.fetch(_SQL.gone_copies, limit)]

    async def forget_copy(self, copy: Copy) -> None:
        """It is gone from its provider, or nobody can tell any more."""
        key = (copy.file_id, copy.provider, copy.account_id, copy.purpose)
        await self._database.execute(_SQL.forget_copy, *key)

    async def forget_files(self, settled: timedelta) -> None:
        """Files of which nothing is left."""
        await self._database.execute(_SQL.forget_files, settled)


def _row(row: asyncpg.Record) -> FileRow:
    file_id, spec, *rest = row
    return FileRow(file_id, files_pb2.FileSpec.FromString(spec), *rest)
