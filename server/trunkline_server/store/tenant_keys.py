"""The keys that tenants' secrets are sealed with. They leave this room in the clear, and never the process."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from trunkline_server.core.sealing import KeyRing, Place, SealBroken, new_key
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class TenantKey:
    """A key in the clear."""

    version: int
    key: bytes = field(repr=False)


class TenantKeys:
    """The table of wrapped keys. Every method raises SealBroken where the ring does not open one."""

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database = database
        self._ring = ring

    async def newest(self, tenant_id: UUID) -> TenantKey:
        """The key to seal with, made by whoever asks first. The tenant must exist."""
        row = await self._database.fetchrow(_SQL.newest, tenant_id)
        if row is None:
            await self._make(tenant_id)
            row = await self._database.fetchrow(_SQL.newest, tenant_id)
        return self._opened(tenant_id, row)

    async def find(self, tenant_id: UUID, version: int) -> TenantKey:
        """The key that something was sealed with."""
        return self._opened(tenant_id, await self._database.fetchrow(_SQL.find, tenant_id, version))

    async def tenants(self, tenant_id: UUID | None = None) -> list[UUID]:
        """Those that have a key: all, or this one if it has."""
        return [row["tenant_id"] for row in await self._database.fetch(_SQL.tenants, tenant_id)]

    async def renew(self, tenant_id: UUID) -> None:
        """Another key to seal with from now on. The older ones stay, for what is sealed with them."""
        made = TenantKey((await self.newest(tenant_id)).version + 1, new_key())
        wrapped = self._wrapped(tenant_id, made)
        await self._database.execute(_SQL.add, tenant_id, made.version, self._ring.newest, wrapped)

    async def check(self) -> list[int]:
        """The versions of the installation's keys that are needed here, and that the ring lacks or has wrong."""
        rows = await self._database.fetch(_SQL.of_each_kek)
        return [row["kek_version"] for row in rows if not self._opens(row)]

    async def rewrap(self) -> int:
        """Wrap every key with the newest of the ring; how many were wrapped with another. Secrets are not touched."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_SQL.older, self._ring.newest)
            for row in rows:
                opened = self._opened(row["tenant_id"], row)
                wrapped = self._wrapped(row["tenant_id"], opened)
                await connection.execute(_SQL.rewrap, row["tenant_id"], opened.version, self._ring.newest, wrapped)
        return len(rows)

    async def _make(self, tenant_id: UUID) -> None:
        made = TenantKey(1, new_key())
        await self._database.execute(_SQL.make, tenant_id, self._ring.newest, self._wrapped(tenant_id, made))

    def _wrapped(self, tenant_id: UUID, key: TenantKey) -> bytes:
        return self._ring.wrap(key.key, _place(tenant_id, key.version, self._ring.newest))

    def _opened(self, tenant_id: UUID, row: asyncpg.Record | None) -> TenantKey:
        if row is None:
            raise SealBroken
        place = _place(tenant_id, row["version"], row["kek_version"])
        return TenantKey(row["version"], self._ring.unwrap(row["wrapped"], place))

    def _opens(self, row: asyncpg.Record) -> bool:
        try:
            self._opened(row["tenant_id"], row)
        except SealBroken:
            return False
        return True


def _place(tenant_id: UUID, version: int, kek_version: int) -> Place:
    return Place(tenant_id, "tenant_key", "wrapped", str(version), kek_version)
