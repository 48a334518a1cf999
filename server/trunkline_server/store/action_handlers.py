"""Who executes a tenant's actions, the secrets that calls to them are signed with, and confirmations that were used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

from trunkline.v1 import events_pb2
from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, Resource, TrunklineError, not_found
from trunkline_server.core.sealing import Place, seal, unseal
from trunkline_server.core.webhook import new_secret
from trunkline_server.store import outbox, queries
from trunkline_server.store.database import Database
from trunkline_server.store.tenant_keys import TenantKeys

_SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Handler:
    """A row. Of `uri`, `entry_point` and `tool` two are empty; the secret stays sealed."""

    handler_id: UUID
    tenant_id: UUID
    name: str
    action_pattern: str
    types: Sequence[int]
    priority: int
    needs_confirmation: bool
    uri: str
    entry_point: str
    tool: str
    create_time: datetime
    key_version: int
    secret: bytes = field(repr=False)

    @property
    def spelled_id(self) -> str:
        return ids.spell("acth", self.handler_id)


@dataclass(frozen=True, slots=True)
class NewHandler:
    """A handler that is wanted."""

    name: str
    action_pattern: str
    types: Sequence[int]
    priority: int
    needs_confirmation: bool
    uri: str
    entry_point: str
    tool: str
    created_by: str


class ActionHandlers:
    """Every change is told as an event, in its own transaction."""

    def __init__(self, database: Database, keys: TenantKeys) -> None:
        self._database = database
        self._keys = keys

    async def create(self, tenant_id: UUID, new: NewHandler) -> tuple[Handler, str]:
        """The handler, and its secret where it is an address. Raises RESOURCE_EXISTS."""
        handler_id = ids.new_uuid()
        secret = new_secret() if new.uri else ""
        sealed = await self._sealed(tenant_id, handler_id, secret) if secret else (0, b"")
        matched = (new.name, new.action_pattern, list(new.types), new.priority, new.needs_confirmation)
        target = (new.uri, new.entry_point, new.tool)
        async with self._database.of(tenant_id).transaction() as connection:
            row = await connection.fetchrow(
                _SQL.create, handler_id, tenant_id, *matched, *target, *sealed, new.created_by
            )
            if row is None:
                raise _taken(new.name)
            made = _handler(row)
            await outbox.write(connection, tenant_id, _changed(made, deleted=False))
        return made, secret

    async def list(self, tenant_id: UUID, after: tuple[int, UUID] | None, limit: int) -> Sequence[Handler]:
        """In the order in which they are asked, behind one with this priority and id."""
        priority, handler_id = after or (None, None)
        return [
            _handler(row)
            for row in await self._database.of(tenant_id).fetch(_SQL.list, tenant_id, priority, handler_id, limit)
        ]

    async def for_action(self, tenant_id: UUID, name: str, type_: int) -> Sequence[Handler]:
        """Those who take actions of this name and type, first to last."""
        return [
            _handler(row) for row in await self._database.of(tenant_id).fetch(_SQL.for_action, tenant_id, name, type_)
        ]

    async def delete(self, tenant_id: UUID, handler_id: UUID) -> None:
        """Raises RESOURCE_NOT_FOUND."""
        async with self._database.of(tenant_id).transaction() as connection:
            row = await connection.fetchrow(_SQL.delete, tenant_id, handler_id)
            if row is None:
                raise not_found("action_handler", ids.spell("acth", handler_id))
            await outbox.write(connection, tenant_id, _changed(_handler(row), deleted=True))

    async def secret(self, handler: Handler) -> str:
        """In the clear, to sign with. Raises SealBroken."""
        key = await self._keys.find(handler.tenant_id, handler.key_version)
        place = _place(handler.tenant_id, handler.handler_id, key.version)
        return unseal(key.key, handler.secret, place).decode()

    async def confirm(self, mark: bytes, expire_time: datetime) -> bool:
        """Whether this is the first time."""
        return bool(await self._database.fetchval(_SQL.confirm, mark, expire_time))

    async def purge(self) -> None:
        """Forgets confirmations that nobody could use again anyway."""
        await self._database.execute(_SQL.purge)

    async def _sealed(self, tenant_id: UUID, handler_id: UUID, secret: str) -> tuple[int, bytes]:
        newest = await self._keys.newest(tenant_id)
        return newest.version, seal(newest.key, secret.encode(), _place(tenant_id, handler_id, newest.version))


def _place(tenant_id: UUID, handler_id: UUID, key_version: int) -> Place:
    return Place(tenant_id, "action_handler", "secret", handler_id.hex, key_version)


def _changed(handler: Handler, *, deleted: bool) -> events_pb2.Event:
    changed = events_pb2.ActionHandlerChanged(handler_id=handler.spelled_id, name=handler.name, deleted=deleted)
    return events_pb2.Event(action_handler_changed=changed)


def _taken(name: str) -> TrunklineError:
    resource = Resource("action_handler", name)
    return TrunklineError(Reason.RESOURCE_EXISTS, f"action handler {name!r} exists already", resource=resource)


def _handler(row: asyncpg.Record) -> Handler:
    return Handler(**{name: row[name] for name in Handler.__slots__})
