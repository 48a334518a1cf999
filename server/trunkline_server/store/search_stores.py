"""The table of vector stores that calls had made of their files: one for each set of files at a provider's account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from trunkline_server.core import ids
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where a set of files stands: whose it is, at which provider, with whose key."""

    tenant_id: UUID
    provider: str
    account_id: UUID
    file_ids: Sequence[UUID]

    @property
    def key(self) -> tuple[UUID, str, UUID, list[UUID]]:
        return self.tenant_id, self.provider, self.account_id, sorted(set(self.file_ids))


@dataclass(frozen=True, slots=True)
class SearchStore:
    """`is_ready`: its provider has said so not long ago."""

    id: UUID
    provider_store_id: str
    is_ready: bool


@dataclass(frozen=True, slots=True)
class GoneStore:
    """One that its provider is to forget."""

    id: UUID
    provider: str
    account_id: UUID
    provider_store_id: str


class SearchStores:
    """A set of files has one store, until a file of it is gone or nobody asks for it any more."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def use(self, tenant_id: UUID, shelf: Shelf, trusted: timedelta) -> SearchStore | None:
        """The store of these files, which is needed now; what was said of it is trusted for so long."""
        row = await self._database.of(tenant_id).fetchrow(_SQL.use, *shelf.key, trusted)
        return None if row is None else SearchStore(*row)

    async def known(self, tenant_id: UUID, shelf: Shelf) -> str | None:
        """What the provider calls it; nothing is said about its use."""
        name: str | None = await self._database.of(tenant_id).fetchval(_SQL.known, *shelf.key)
        return name

    async def keep(self, tenant_id: UUID, shelf: Shelf, provider_store_id: str) -> SearchStore:
        """One was made; the one that counts, which may be another's."""
        given = (*shelf.key, ids.new_uuid(), provider_store_id)
        row = await self._database.of(tenant_id).fetchrow(_SQL.keep, *given)
        return SearchStore(*(row or ()))

    async def ready(self, tenant_id: UUID, store: SearchStore) -> None:
        """All of it can be searched."""
        await self._database.of(tenant_id).execute(_SQL.ready, tenant_id, store.id)

    async def drop(self, tenant_id: UUID, store: SearchStore) -> None:
        """It is of no use; its provider will be told to forget it."""
        await self._database.of(tenant_id).execute(_SQL.drop, tenant_id, store.id)

    async def retire(self, unused: timedelta) -> None:
        """Those with a file that is gone, and those that nobody asked for so long, are of no use."""
        await self._database.execute(_SQL.retire, unused)

    async def gone(self, limit: int) -> list[GoneStore]:
        """That are of no use, and still there."""
        return [GoneStore(*row) for row in await self._database.fetch(_SQL.gone, limit)]

    async def forget(self, store: GoneStore) -> None:
        """Its provider does not have it any more."""
        await self._database.execute(_SQL.forget, store.id)
