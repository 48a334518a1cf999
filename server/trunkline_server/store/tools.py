"""The table of tenants' tools. Secrets go in, and come out only to be sent to their tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import asyncpg

from trunkline.v1 import tools_pb2
from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, Resource, TrunklineError, not_found
from trunkline_server.core.moment import timestamp
from trunkline_server.store import queries
from trunkline_server.store.database import Database
from trunkline_server.store.tenant_keys import TenantKeys
from trunkline_server.store.vault import Vault

_SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class ToolRow:
    """A tool, with its secrets as they are kept."""

    tenant_id: UUID
    id: UUID
    registered: tools_pb2.RegisteredTool
    key_version: int
    sealed: bytes = field(repr=False)


class Tools:
    """A tool is found by its id or its name, within its tenant."""

    def __init__(self, database: Database, keys: TenantKeys) -> None:
        self._database = database
        self._vault = Vault(keys, "tool")

    async def create(
        self, tenant_id: UUID, spec: tools_pb2.ToolSpec, secrets: Mapping[str, str]
    ) -> tools_pb2.RegisteredTool:
        """Raises RESOURCE_EXISTS."""
        tool_id = ids.new_uuid()
        sealed = await self._vault.sealed(tenant_id, tool_id, secrets)
        made = (tenant_id, tool_id, spec.name, spec.SerializeToString(), *sealed)
        try:
            return _tool(await self._database.of(tenant_id).fetchrow(_SQL.create, *made), spec.name)
        except asyncpg.UniqueViolationError:
            raise taken(spec.name) from None

    async def find(self, tenant_id: UUID, name: str) -> ToolRow:
        """Raises RESOURCE_NOT_FOUND, also for another tenant's."""
        row = await self._database.of(tenant_id).fetchrow(_SQL.find, *_named(tenant_id, name))
        if row is None:
            raise not_found("tool", name)
        return ToolRow(tenant_id, row["tool_id"], _tool(row, name), row["key_version"], row["secrets"])

    async def page(self, tenant_id: UUID, after: str | None, limit: int) -> list[tools_pb2.RegisteredTool]:
        """By name."""
        return [_tool(row, "") for row in await self._database.of(tenant_id).fetch(_SQL.page, tenant_id, after, limit)]

    async def delete(self, tenant_id: UUID, name: str) -> None:
        """Raises RESOURCE_NOT_FOUND."""
        if await self._database.of(tenant_id).fetchval(_SQL.delete, *_named(tenant_id, name)) is None:
            raise not_found("tool", name)

    async def secrets(self, tool: ToolRow) -> dict[str, str]:
        """In the clear. Raises SealBroken."""
        return await self._vault.opened(tool.tenant_id, tool.id, tool.key_version, tool.sealed)

    async def use_approval(self, token_digest: bytes, keep: timedelta) -> bool:
        """Whether this is its first use."""
        return await self._database.fetchval(_SQL.use_approval, token_digest, keep) is not None


def taken(name: str) -> TrunklineError:
    message = f"tool {name!r} exists already"
    return TrunklineError(Reason.RESOURCE_EXISTS, message, resource=Resource("tool", name))


def _named(tenant_id: UUID, name: str) -> tuple[UUID, UUID | None, str]:
    return tenant_id, ids.parse("tool", name), name


def _tool(row: asyncpg.Record | None, name: str) -> tools_pb2.RegisteredTool:
    if row is None:
        raise not_found("tool", name)
    return tools_pb2.RegisteredTool(
        tool_id=ids.spell("tool", row["tool_id"]),
        spec=tools_pb2.ToolSpec.FromString(row["spec"]),
        create_time=timestamp(row["create_time"]),
    )
