"""The table of assistants."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from trunkline.v1 import assistants_pb2
from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, Resource, TrunklineError, not_found
from trunkline_server.core.moment import timestamp
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)


class Assistants:
    """An assistant is found by its id or its name, within its tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant_id: UUID, persona: assistants_pb2.Persona) -> assistants_pb2.Assistant:
        """Raises RESOURCE_EXISTS."""
        made = (tenant_id, ids.new_uuid(), persona.name, persona.SerializeToString())
        try:
            return _assistant(await self._database.of(tenant_id).fetchrow(_SQL.create, *made), persona.name)
        except asyncpg.UniqueViolationError:
            raise _taken(persona.name) from None

    async def find(self, tenant_id: UUID, name: str) -> assistants_pb2.Assistant:
        """Raises RESOURCE_NOT_FOUND, also for another tenant's."""
        return _assistant(await self._database.of(tenant_id).fetchrow(_SQL.find, *_named(tenant_id, name)), name)

    async def page(self, tenant_id: UUID, after: str | None, limit: int) -> list[assistants_pb2.Assistant]:
        """By name."""
        return [
            _assistant(row, "") for row in await self._database.of(tenant_id).fetch(_SQL.page, tenant_id, after, limit)
        ]

    async def update(self, tenant_id: UUID, name: str, persona: assistants_pb2.Persona) -> assistants_pb2.Assistant:
        """Raises RESOURCE_NOT_FOUND, RESOURCE_EXISTS."""
        changed = (*_named(tenant_id, name), persona.name, persona.SerializeToString())
        try:
            return _assistant(await self._database.of(tenant_id).fetchrow(_SQL.update, *changed), name)
        except asyncpg.UniqueViolationError:
            raise _taken(persona.name) from None

    async def delete(self, tenant_id: UUID, name: str) -> None:
        """Raises RESOURCE_NOT_FOUND."""
        if await self._database.of(tenant_id).fetchval(_SQL.delete, *_named(tenant_id, name)) is None:
            raise not_found("assistant", name)


def _named(tenant_id: UUID, name: str) -> tuple[UUID, UUID | None, str]:
    return tenant_id, ids.parse("asst", name), name


def _taken(name: str) -> TrunklineError:
    message = f"assistant {name!r} exists already"
    return TrunklineError(Reason.RESOURCE_EXISTS, message, resource=Resource("assistant", name))


def _assistant(row: asyncpg.Record | None, name: str) -> assistants_pb2.Assistant:
    if row is None:
        raise not_found("assistant", name)
    return assistants_pb2.Assistant(
        assistant_id=ids.spell("asst", row["assistant_id"]),
        persona=assistants_pb2.Persona.FromString(row["persona"]),
        create_time=timestamp(row["create_time"]),
        update_time=timestamp(row["update_time"]),
    )
