"""The tables of vector stores at providers, and of the files in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from trunkline.v1 import vector_stores_pb2
from trunkline_server.core import ids
from trunkline_server.core.errors import not_found
from trunkline_server.core.moment import timestamp
from trunkline_server.store import queries
from trunkline_server.store.database import Database
from trunkline_server.store.files import Copy

_SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class StoreRow:
    """A vector store. `account_id`: whose account it is in; `files`: what its provider calls each, by our id."""

    id: UUID
    provider: str
    account_id: UUID
    name: str
    provider_store_id: str
    create_time: datetime
    files: dict[str, str]

    def message(self) -> vector_stores_pb2.VectorStore:
        """Without its standing."""
        return vector_stores_pb2.VectorStore(
            vector_store_id=ids.spell("vs", self.id),
            provider=self.provider,
            name=self.name,
            file_ids=self.files,
            create_time=timestamp(self.create_time),
        )


class VectorStores:
    """A vector store is found within its tenant, once its provider has it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def intend(self, tenant_id: UUID, provider: str, account_id: UUID, name: str) -> UUID:
        """Before it is made, so that what a provider may have is on record."""
        store_id = ids.new_uuid()
        await self._database.execute(_SQL.intend, store_id, tenant_id, provider, account_id, name)
        return store_id

    async def keep(self, store_id: UUID, provider_store_id: str) -> None:
        """What the provider calls it."""
        await self._database.execute(_SQL.keep, store_id, provider_store_id)

    async def find(self, tenant_id: UUID, name: str) -> StoreRow:
        """Raises RESOURCE_NOT_FOUND, also for another tenant's."""
        row = await self._database.of(tenant_id).fetchrow(_SQL.find, tenant_id, ids.parse("vs", name))
        if row is None:
            raise not_found("vector store", name)
        return _row(row)

    async def page(self, tenant_id: UUID, before: UUID | None, limit: int) -> list[StoreRow]:
        """Newest first."""
        return [_row(row) for row in await self._database.of(tenant_id).fetch(_SQL.page, tenant_id, before, limit)]

    async def forget(self, store_id: UUID) -> None:
        """Its provider does not have it."""
        await self._database.execute(_SQL.forget, store_id)

    async def add(self, store_id: UUID, copy: Copy) -> None:
        """The provider has this file in it. Raises RESOURCE_NOT_FOUND where one of them is deleted meanwhile."""
        try:
            await self._database.execute(_SQL.add, store_id, copy.file_id, copy.provider_file_id)
        except asyncpg.ForeignKeyViolationError:
            raise not_found("vector store", ids.spell("vs", store_id)) from None

    async def remove(self, store_id: UUID, file_id: str) -> None:
        """The provider does not have it in it any more."""
        await self._database.execute(_SQL.remove, store_id, ids.parse("file", file_id))


def _row(row: asyncpg.Record) -> StoreRow:
    store_id, provider, account_id, name, provider_store_id, create_time, file_ids, names = row
    files = {ids.spell("file", each): named for each, named in zip(file_ids, names, strict=True)}
    return StoreRow(store_id, provider, account_id, name, provider_store_id, create_time, files)
