"""The tables of MCP servers and their tools. A definition is used only as it was approved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from trunkline.v1 import mcp_pb2
from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, Resource, TrunklineError, not_found
from trunkline_server.store import queries
from trunkline_server.store.database import Database
from trunkline_server.store.tenant_keys import TenantKeys
from trunkline_server.store.vault import Vault

_SQL = queries.load(__file__)
TOOLS_MAX = 512
"""Tools of one server that are known."""


@dataclass(frozen=True, slots=True)
class ServerRow:
    """A server without its secrets. `tenant_id` None: the operator's."""

    server_id: UUID
    tenant_id: UUID | None
    spec: mcp_pb2.McpServerSpec
    create_time: datetime
    refresh_time: datetime | None


@dataclass(frozen=True, slots=True)
class Told:
    """What a server says of a tool."""

    name: str
    description: str
    parameters: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class ToolRow:
    """What was approved, and what was told last; None: never, or no longer."""

    name: str
    approved: Told | None
    told: Told | None

    @property
    def state(self) -> mcp_pb2.McpToolState.ValueType:
        if self.told is None:
            return mcp_pb2.MCP_TOOL_STATE_GONE
        return mcp_pb2.MCP_TOOL_STATE_ACTIVE if self.approved == self.told else mcp_pb2.MCP_TOOL_STATE_CHANGED


class McpServers:
    """A server is found by its id or its name, within its tenant, else among the operator's."""

    def __init__(self, database: Database, keys: TenantKeys) -> None:
        self._database = database
        self._vault = Vault(keys, "mcp_server")

    async def create(self, tenant_id: UUID, spec: mcp_pb2.McpServerSpec, secrets: Mapping[str, str]) -> ServerRow:
        """Raises RESOURCE_EXISTS."""
        server_id = ids.new_uuid()
        sealed = await self._vault.sealed(tenant_id, server_id, secrets)
        made = (tenant_id, server_id, spec.name, spec.SerializeToString(), *sealed)
        try:
            return _server(await self._database.fetchrow(_SQL.create, *made), spec.name)
        except asyncpg.UniqueViolationError:
            raise taken(spec.name) from None

    async def keep_operators(self, spec: mcp_pb2.McpServerSpec) -> None:
        """One that the settings name."""
        await self._database.fetchrow(_SQL.keep_operators, ids.new_uuid(), spec.name, spec.SerializeToString())

    async def find(self, tenant_id: UUID, name: str) -> ServerRow:
        """Raises RESOURCE_NOT_FOUND, also for another tenant's."""
        row = await self._database.fetchrow(_SQL.find, tenant_id, ids.parse("mcp", name), name)
        return _server(row, name)

    async def find_operators(self, name: str) -> ServerRow:
        """Raises RESOURCE_NOT_FOUND."""
        return _server(await self._database.fetchrow(_SQL.find_operators, name), name)

    async def page(self, tenant_id: UUID, after: str | None, limit: int) -> list[ServerRow]:
        """By name."""
        return [_server(row, "") for row in await self._database.fetch(_SQL.page, tenant_id, after, limit)]

    async def delete(self, tenant_id: UUID, server_id: UUID) -> None:
        """With its tools. Raises RESOURCE_NOT_FOUND."""
        if await self._database.fetchval(_SQL.delete, tenant_id, server_id) is None:
            raise not_found("mcp_server", ids.spell("mcp", server_id))

    async def secrets(self, tenant_id: UUID, server_id: UUID) -> dict[str, str]:
        """In the clear. Raises RESOURCE_NOT_FOUND, SealBroken."""
        row = await self._database.fetchrow(_SQL.secrets, tenant_id, server_id)
        if row is None:
            raise not_found("mcp_server", ids.spell("mcp", server_id))
        return await self._vault.opened(tenant_id, server_id, row["key_version"], row["secrets"])

    async def told(self, server_id: UUID, tools: Sequence[Told], *, approve: bool) -> None:
        """A server has told its tools. What it says the first time is approved."""
        columns = ([each.name for each in tools], [each.description for each in tools])
        rest = ([each.parameters for each in tools], [each.digest for each in tools])
        async with self._database.transaction() as connection:
            known = await connection.fetchval(_SQL.touch, server_id)
            await connection.execute(_SQL.forget_told, server_id)
            await connection.execute(_SQL.tell, server_id, *columns, *rest)
            if approve or not known:
                await connection.execute(_SQL.approve, server_id)
                await connection.execute(_SQL.drop_gone, server_id)

    async def tools(self, server_id: UUID, after: str | None = None, limit: int = TOOLS_MAX) -> list[ToolRow]:
        """By name."""
        return [_tool(row) for row in await self._database.fetch(_SQL.tools, server_id, after, limit)]

    async def tool(self, server_id: UUID, name: str) -> ToolRow | None:
        row = await self._database.fetchrow(_SQL.tool, server_id, name)
        return None if row is None else _tool(row)


def taken(name: str) -> TrunklineError:
    message = f"MCP server {name!r} exists already"
    return TrunklineError(Reason.RESOURCE_EXISTS, message, resource=Resource("mcp_server", name))


def _server(row: asyncpg.Record | None, name: str) -> ServerRow:
    if row is None:
        raise not_found("mcp_server", name)
    return ServerRow(
        server_id=row["server_id"],
        tenant_id=row["tenant_id"],
        spec=mcp_pb2.McpServerSpec.FromString(row["spec"]),
        create_time=row["create_time"],
        refresh_time=row["refresh_time"],
    )


def _tool(row: asyncpg.Record) -> ToolRow:
    name = row["name"]
    approved = Told(name, row["description"], row["parameters"], row["digest"]) if row["digest"] else None
    if row["told_digest"] is None:
        return ToolRow(name, approved, None)
    return ToolRow(name, approved, Told(name, row["told_description"], row["told_parameters"], row["told_digest"]))
