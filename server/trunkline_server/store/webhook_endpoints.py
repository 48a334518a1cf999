"""Webhook endpoints of tenants, and the secrets that sign for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Self
from uuid import UUID

import asyncpg

from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, Resource, TrunklineError, not_found
from trunkline_server.core.sealing import Place, SealBroken, seal, unseal
from trunkline_server.core.webhook import new_key_pair, new_secret
from trunkline_server.store import queries
from trunkline_server.store.database import Database
from trunkline_server.store.tenant_keys import TenantKeys

_SQL = queries.load(__file__)

PART_ROWS: Final = 5000
"""Deliveries that change by one statement."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A row without its secrets."""

    number: int
    endpoint_id: UUID
    uri: str
    description: str
    types: Sequence[str]
    for_callbacks: bool
    enabled: bool
    disabled_reason: str
    secret_time: datetime
    old_until: datetime | None
    failing_since: datetime | None
    create_time: datetime
    public_key: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A change of an endpoint; None stays."""

    uri: str | None = None
    description: str | None = None
    types: Sequence[str] | None = None
    enabled: bool | None = None


class _Signer(NamedTuple):
    """What signs for an endpoint. `public_key` is empty for a secret that both sides know."""

    secret: str
    public_key: str = ""

    @classmethod
    def new(cls, *, with_key_pair: bool) -> Self:
        return cls(*new_key_pair()) if with_key_pair else cls(new_secret())

    @property
    def told(self) -> str:
        """Of a key pair only the public half is ever told."""
        return "" if self.public_key else self.secret


class WebhookEndpoints:
    """Secrets go in sealed, and come out only to sign."""

    def __init__(self, database: Database, keys: TenantKeys) -> None:
        self._database = database
        self._keys = keys

    async def create(
        self,
        tenant_id: UUID,
        uri: str,
        description: str,
        types: Sequence[str],
        *,
        for_callbacks: bool,
        with_key_pair: bool,
    ) -> tuple[Endpoint, str]:
        """The endpoint and its secret, which is empty where it has a key pair. Raises RESOURCE_EXISTS for a second one
        for callbacks."""
        endpoint_id, new = ids.new_uuid(), _Signer.new(with_key_pair=with_key_pair)
        sealed = await self._sealed(tenant_id, endpoint_id, new.secret)
        what = (uri, description, list(types), for_callbacks)
        row = await self._database.of(tenant_id).fetchrow(
            _SQL.create, endpoint_id, tenant_id, *what, *sealed, new.public_key
        )
        if row is None:
            resource = Resource("webhook_endpoint", "callbacks")
            raise TrunklineError(
                Reason.RESOURCE_EXISTS, "there is an endpoint for callbacks already", resource=resource
            )
        return _endpoint(row), new.told

    async def get(self, tenant_id: UUID, endpoint_id: UUID) -> Endpoint:
        """Raises RESOURCE_NOT_FOUND."""
        return _found(await self._database.of(tenant_id).fetchrow(_SQL.find, tenant_id, endpoint_id), endpoint_id)

    async def list(self, tenant_id: UUID, after: int, limit: int) -> Sequence[Endpoint]:
        """Oldest first."""
        return [_endpoint(row) for row in await self._database.of(tenant_id).fetch(_SQL.list, tenant_id, after, limit)]

    async def takes_callbacks(self, tenant_id: UUID) -> bool:
        """Whether there is an endpoint to sign them."""
        return bool(await self._database.of(tenant_id).fetchval(_SQL.has_callbacks, tenant_id))

    async def update(self, tenant_id: UUID, endpoint_id: UUID, wanted: Wanted) -> Endpoint:
        """One that is enabled gets nothing of what was given up. Raises RESOURCE_NOT_FOUND."""
        types = None if wanted.types is None else list(wanted.types)
        asked = (wanted.uri, wanted.description, types, wanted.enabled)
        while wanted.enabled and await self._database.of(tenant_id).fetchval(_SQL.give_up, endpoint_id, PART_ROWS):
            pass
        async with self._database.of(tenant_id).transaction() as connection:
            row = await connection.fetchrow(_SQL.update, tenant_id, endpoint_id, *asked)
            if row is not None and wanted.enabled is False:
                await connection.execute(_SQL.disable, endpoint_id, "")
                row = await connection.fetchrow(_SQL.find, tenant_id, endpoint_id)
        return _found(row, endpoint_id)

    async def delete(self, tenant_id: UUID, endpoint_id: UUID) -> None:
        """With its deliveries. Raises RESOURCE_NOT_FOUND."""
        asked = (tenant_id, endpoint_id)
        while await self._database.of(tenant_id).execute(_SQL.empty, *asked, PART_ROWS) != "DELETE 0":
            pass
        if await self._database.of(tenant_id).execute(_SQL.delete, *asked) == "DELETE 0":
            raise _none(endpoint_id)

    async def give_up(self) -> int:
        """Some of what waits for endpoints of any tenant that are disabled; says how many."""
        return int(await self._database.fetchval(_SQL.give_up, None, PART_ROWS))

    async def rotate(self, tenant_id: UUID, endpoint_id: UUID, overlap: timedelta) -> tuple[Endpoint, str]:
        """A new secret or key pair, beside which the old one signs for a while. Raises RESOURCE_NOT_FOUND."""
        found = await self.get(tenant_id, endpoint_id)
        new = _Signer.new(with_key_pair=bool(found.public_key))
        sealed = await self._sealed(tenant_id, endpoint_id, new.secret)
        row = await self._database.of(tenant_id).fetchrow(
            _SQL.rotate, tenant_id, endpoint_id, *sealed, overlap, new.public_key
        )
        return _found(row, endpoint_id), new.told

    async def signing(self, rows: Sequence[asyncpg.Record]) -> Sequence[Sequence[str]]:
        """Of rows with secrets of endpoints, those that sign: the present one, and the old one while it counts; none
        where they cannot be read."""
        keys: dict[tuple[UUID, int], bytes] = {}
        for each in {(row["tenant_id"], version) for row in rows for version in _versions(row)}:
            with suppress(SealBroken):
                keys[each] = (await self._keys.find(*each)).key
        return [_signing(row, keys) for row in rows]

    async def _sealed(self, tenant_id: UUID, endpoint_id: UUID, secret: str) -> tuple[int, bytes]:
        newest = await self._keys.newest(tenant_id)
        return newest.version, seal(newest.key, secret.encode(), _place(tenant_id, endpoint_id, newest.version))


def _versions(row: asyncpg.Record) -> list[int]:
    """Of the keys that the row's secrets are sealed with: the present one's, and the old one's while that counts."""
    versions = (row["key_version"], row["old_key_version"])
    return [version for version in versions if version is not None]


def _signing(row: asyncpg.Record, keys: Mapping[tuple[UUID, int], bytes]) -> list[str]:
    try:
        return _unsealed(row, keys)
    except (KeyError, SealBroken):
        return []


def _unsealed(row: asyncpg.Record, keys: Mapping[tuple[UUID, int], bytes]) -> list[str]:
    tenant_id, endpoint_id = row["tenant_id"], row["endpoint_id"]
    return [
        unseal(keys[tenant_id, version], secret, _place(tenant_id, endpoint_id, version)).decode()
        for version, secret in zip(_versions(row), (row["secret"], row["old_secret"]), strict=False)
    ]


def _place(tenant_id: UUID, endpoint_id: UUID, key_version: int) -> Place:
    return Place(tenant_id, "webhook_endpoint", "secret", endpoint_id.hex, key_version)


def _none(endpoint_id: UUID) -> TrunklineError:
    return not_found("webhook_endpoint", ids.spell("whep", endpoint_id))


def _found(row: asyncpg.Record | None, endpoint_id: UUID) -> Endpoint:
    if row is None:
        raise _none(endpoint_id)
    return _endpoint(row)


def _endpoint(row: asyncpg.Record) -> Endpoint:
    return Endpoint(**{name: row[name] for name in Endpoint.__slots__})
