"""The table of tenants' tools. Secrets go in, and come out only to be sent to their tool."""

from __future__ import annotations

from collections.abc import Mapping
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

    async def find(self, tenant_id: UUID, name: str) -> tools_pb2.RegisteredTool:
        """Raises RESOURCE_NOT_FOUND, also for another tenant's."""
        return _tool(await self._database.of(tenant_id).fetchrow(_SQL.find, *_named(tenant_id, name)), name)

    async def page(self, tenant_id: UUID, after: str | None, limit: int) -> list[tools_pb2.RegisteredTool]:
        """By name."""
        return [_tool(row, "") for row in await self._database.of(tenant_id).fetch(_SQL.page, tenant_id, after, limit)]

    async def delete(self, tenant_id: UUID, name: str) -> None:
        """Raises RESOURCE_NOT_FOUND."""
        if await self._database.of(tenant_id).fetchval(_SQL.delete, *_named(tenant_id, name)) is None:
            raise not_found("tool", name)

    async def secrets(self, tenant_id: UUID, tool_id: str) -> dict[str, str]:
        """In the clear. Raises RESOURCE_NOT_FOUND, SealBroken."""
        row_id = ids.parse("tool", tool_id)
        row = await self._database.of(tenant_id).fetchrow(_SQL.secrets, tenant_id, row_id)
        if row is None or row_id is None:
            raise not_found("tool", tool_id)
        return await self._vault.opened(tenant_id, row_id, row["key_version"], row["secrets"])

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
