"""Tenants' own accounts at providers. A key goes in, and comes out only to be sent to its provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, Resource, TrunklineError, not_found
from trunkline_server.core.sealing import Place, seal, unseal
from trunkline_server.store import queries
from trunkline_server.store.connection import Connection
from trunkline_server.store.database import Database
from trunkline_server.store.page import Page
from trunkline_server.store.tenant_keys import TenantKey, TenantKeys

CHANNEL = "trunkline_provider_accounts"

_SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class ProviderAccount:
    """A row without its key."""

    account_id: UUID
    tenant_id: UUID
    provider: str
    name: str
    is_default: bool
    create_time: datetime
    rotate_time: datetime | None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something with an account, and in which request: for the audit."""

    tenant_id: UUID
    principal: str
    request_id: str


class ProviderAccounts:
    """The table of accounts. Changes of one tenant come one after another, so that there is one default."""

    def __init__(self, database: Database, keys: TenantKeys) -> None:
        self._database = database
        self._keys = keys

    async def create(
        self, actor: Actor, provider: str, name: str, api_key: str, *, make_default: bool
    ) -> ProviderAccount:
        """Raises RESOURCE_EXISTS where the name is taken."""
        account_id = ids.new_uuid()
        version, sealed = await self._sealed(actor.tenant_id, account_id, api_key)
        async with self._database.transaction() as connection:
            await connection.execute(_SQL.lock, actor.tenant_id)
            if make_default:
                await connection.execute(_SQL.clear_default, actor.tenant_id, provider)
            who = (account_id, actor.tenant_id, provider, name)
            row = await connection.fetchrow(_SQL.create, *who, version, sealed, actor.principal)
            if row is None:
                raise _taken(name)
            return await _noted(connection, actor, "create", account_id, row)

    async def list(self, tenant_id: UUID, page: Page) -> list[ProviderAccount]:
        """Oldest first."""
        rows = await self._database.fetch(_SQL.list, tenant_id, page.after_time, page.after_id, page.size)
        return [_account(row) for row in rows]

    async def get(self, tenant_id: UUID, account_id: UUID) -> ProviderAccount:
        """Raises RESOURCE_NOT_FOUND."""
        return _found(await self._database.fetchrow(_SQL.find, tenant_id, account_id), account_id)

    async def rotate(self, actor: Actor, account_id: UUID, api_key: str) -> ProviderAccount:
        """Another key for an account. Raises RESOURCE_NOT_FOUND."""
        await self.get(actor.tenant_id, account_id)
        version, sealed = await self._sealed(actor.tenant_id, account_id, api_key)
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(_SQL.rotate, actor.tenant_id, account_id, version, sealed)
            return await _noted(connection, actor, "rotate", account_id, row)

    async def set_default(self, actor: Actor, account_id: UUID) -> ProviderAccount:
        """Raises RESOURCE_NOT_FOUND."""
        async with self._database.transaction() as connection:
            await connection.execute(_SQL.lock, actor.tenant_id)
            found = _found(await connection.fetchrow(_SQL.find, actor.tenant_id, account_id), account_id)
            await connection.execute(_SQL.clear_default, actor.tenant_id, found.provider)
            row = await connection.fetchrow(_SQL.make_default, actor.tenant_id, account_id)
            return await _noted(connection, actor, "set_default", account_id, row)

    async def delete(self, actor: Actor, account_id: UUID) -> None:
        """The oldest that is left becomes the default. Raises RESOURCE_NOT_FOUND."""
        async with self._database.transaction() as connection:
            await connection.execute(_SQL.lock, actor.tenant_id)
            row = await connection.fetchrow(_SQL.delete, actor.tenant_id, account_id)
            gone = await _noted(connection, actor, "delete", account_id, row)
            if gone.is_default:
                await connection.execute(_SQL.default_to_oldest, actor.tenant_id, gone.provider)

    async def note_use(self, actor: Actor, account_id: UUID) -> None:
        """A person had the key used."""
        await self._database.execute(_SQL.note, actor.tenant_id, account_id, "use", actor.principal, actor.request_id)

    async def defaults(self) -> Sequence[tuple[UUID, str, UUID]]:
        """Tenant, provider and account of every default."""
        rows = await self._database.fetch(_SQL.defaults)
        return [(row["tenant_id"], row["provider"], row["account_id"]) for row in rows]

    async def api_key(self, tenant_id: UUID, account_id: UUID) -> str:
        """The key in the clear. Raises RESOURCE_NOT_FOUND, SealBroken."""
        row = await self._database.fetchrow(_SQL.find, tenant_id, account_id)
        if row is None:
            raise not_found("provider_account", ids.spell("pacc", account_id))
        return await self._unsealed(tenant_id, row)

    async def reseal(self, tenant_id: UUID) -> int:
        """Seal with the tenant's newest key what is sealed with an older one; how many were. Raises SealBroken."""
        newest = await self._keys.newest(tenant_id)
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_SQL.sealed_before, tenant_id, newest.version)
            for row in rows:
                account_id, api_key = row["account_id"], await self._unsealed(tenant_id, row)
                sealed = _seal(newest, tenant_id, account_id, api_key)
                await connection.execute(_SQL.reseal, tenant_id, account_id, newest.version, sealed)
        return len(rows)

    async def _sealed(self, tenant_id: UUID, account_id: UUID, api_key: str) -> tuple[int, bytes]:
        newest = await self._keys.newest(tenant_id)
        return newest.version, _seal(newest, tenant_id, account_id, api_key)

    async def _unsealed(self, tenant_id: UUID, row: asyncpg.Record) -> str:
        sealed_with = await self._keys.find(tenant_id, row["key_version"])
        place = _place(tenant_id, row["account_id"], sealed_with.version)
        return unseal(sealed_with.key, row["api_key"], place).decode()


async def _noted(
    connection: Connection, actor: Actor, action: str, account_id: UUID, row: asyncpg.Record | None
) -> ProviderAccount:
    """Into the audit with it, and to the other replicas, in the transaction of the change."""
    account = _found(row, account_id)
    await connection.execute(_SQL.note, actor.tenant_id, account_id, action, actor.principal, actor.request_id)
    return account


def _seal(key: TenantKey, tenant_id: UUID, account_id: UUID, api_key: str) -> bytes:
    return seal(key.key, api_key.encode(), _place(tenant_id, account_id, key.version))


def _place(tenant_id: UUID, account_id: UUID, key_version: int) -> Place:
    return Place(tenant_id, "provider_account", "api_key", account_id.hex, key_version)


def _taken(name: str) -> TrunklineError:
    resource = Resource("provider_account", name)
    return TrunklineError(Reason.RESOURCE_EXISTS, f"provider account {name!r} exists already", resource=resource)


def _found(row: asyncpg.Record | None, account_id: UUID) -> ProviderAccount:
    if row is None:
        raise not_found("provider_account", ids.spell("pacc", account_id))
    return _account(row)


def _account(row: asyncpg.Record) -> ProviderAccount:
    return ProviderAccount(
        account_id=row["account_id"],
        tenant_id=row["tenant_id"],
        provider=row["provider"],
        name=row["name"],
        is_default=row["is_default"],
        create_time=row["create_time"],
        rotate_time=row["rotate_time"],
    )
