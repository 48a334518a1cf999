"""Tenants. A change is announced on the channel `trunkline_tenants` with the tenant's id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from trunkline_server.core.errors import Reason, Resource, TrunklineError, not_found
from trunkline_server.core.ids import new_uuid
from trunkline_server.store import queries
from trunkline_server.store.database import Database
from trunkline_server.store.page import Page

CHANNEL = "trunkline_tenants"

_SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Tenant:
    """Who pays. A suspended tenant's calls are refused."""

    tenant_id: UUID
    name: str
    suspended: bool
    create_time: datetime


class Tenants:
    """The table of tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, name: str) -> Tenant:
        """A new tenant; raises RESOURCE_EXISTS where the name is taken."""
        row = await self._database.fetchrow(_SQL.create, new_uuid(), name)
        if row is None:
            raise TrunklineError(
                Reason.RESOURCE_EXISTS, f"tenant {name!r} exists already", resource=Resource("tenant", name)
            )
        return _tenant(row)

    async def ensure(self, name: str) -> Tenant:
        """The tenant of this name, made if it is not there yet."""
        row = await self._database.fetchrow(_SQL.create, new_uuid(), name)
        return _tenant(row) if row is not None else await self.get_named(name)

    async def get(self, tenant_id: UUID) -> Tenant:
        """By id; raises RESOURCE_NOT_FOUND."""
        return _found(await self._database.fetchrow(_SQL.find, tenant_id), str(tenant_id))

    async def get_named(self, name: str) -> Tenant:
        """By name; raises RESOURCE_NOT_FOUND."""
        return _found(await self._database.fetchrow(_SQL.find_named, name), name)

    async def list(self, page: Page) -> list[Tenant]:
        """Oldest first."""
        rows = await self._database.fetch(_SQL.list, page.after_time, page.after_id, page.size)
        return [_tenant(row) for row in rows]

    async def suspend(self, tenant_id: UUID, *, suspended: bool = True) -> Tenant:
        """Stops a tenant, or lets it go on; raises RESOURCE_NOT_FOUND."""
        return _found(await self._database.fetchrow(_SQL.suspend, tenant_id, suspended), str(tenant_id))


def _found(row: asyncpg.Record | None, name: str) -> Tenant:
    if row is None:
        raise not_found("tenant", name)
    return _tenant(row)


def _tenant(row: asyncpg.Record) -> Tenant:
    return Tenant(row["tenant_id"], row["name"], row["suspended"], row["create_time"])
