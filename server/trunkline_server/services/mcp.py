"""McpService: MCP servers of tenants and of the operator, and their tools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunkline.v1 import mcp_pb2
from trunkline_server.core import address, ids
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.core.moment import timestamp
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.question import check_name
from trunkline_server.gateway.tools.mcp_desk import BETWEEN, McpDesk
from trunkline_server.gateway.tools.runner import Runner
from trunkline_server.gateway.tools.tool import Ask
from trunkline_server.gateway.tools.tool_headers import checked_headers
from trunkline_server.store.mcp_servers import ServerRow, ToolRow, taken

OPERATORS_SCOPE: Final = "admin:mcp"
"""Approves for all tenants."""


@dataclass(frozen=True)
class McpService:
    """A program is never named by a caller; an address is dialled through the guard."""

    desk: McpDesk
    runner: Runner
    tokens: PageTokens
    policy: EgressPolicy

    async def create_mcp_server(
        self, call: Call, request: mcp_pb2.CreateMcpServerRequest
    ) -> mcp_pb2.CreateMcpServerResponse:
        servers, tenant_id = self.desk.servers, call.caller.tenant_id
        spec = self._checked(request.spec)
        made = await servers.create(tenant_id, spec, checked_headers(request.secret_headers))
        try:
            await self.desk.refresh(made)
        except BaseException:
            self.desk.forget(made.server_id)
            await servers.delete(tenant_id, made.server_id)
            raise
        return mcp_pb2.CreateMcpServerResponse(server=self._server(await servers.find(tenant_id, spec.name)))

    async def get_mcp_server(self, call: Call, request: mcp_pb2.GetMcpServerRequest) -> mcp_pb2.GetMcpServerResponse:
        return mcp_pb2.GetMcpServerResponse(server=self._server(await self._found(call, request.server)))

    async def list_mcp_servers(
        self, call: Call, request: mcp_pb2.ListMcpServersRequest
    ) -> mcp_pb2.ListMcpServersResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        after = paging.behind
        rows = await self.desk.servers.page(call.caller.tenant_id, after, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.spec.name,))
        names = () if paging.cursor else sorted(self.desk.stdio)
        operators = [await self.desk.servers.find_operators(name) for name in names]
        return mcp_pb2.ListMcpServersResponse(servers=map(self._server, (*operators, *page)), next_page_token=token)

    async def delete_mcp_server(
        self, call: Call, request: mcp_pb2.DeleteMcpServerRequest
    ) -> mcp_pb2.DeleteMcpServerResponse:
        found = await self._found(call, request.server)
        if found.tenant_id is None:
            raise _operators("is the operator's: it goes with its settings")
        await self.desk.servers.delete(found.tenant_id, found.server_id)
        self.desk.forget(found.server_id)
        return mcp_pb2.DeleteMcpServerResponse()

    async def refresh_mcp_server(
        self, call: Call, request: mcp_pb2.RefreshMcpServerRequest
    ) -> mcp_pb2.RefreshMcpServerResponse:
        found = await self._found(call, request.server)
        if request.approve_changes and found.tenant_id is None and not call.caller.may(OPERATORS_SCOPE):
            raise _operators(f"is the operator's: approving needs the scope {OPERATORS_SCOPE!r}")
        await self.desk.refresh(found, approve=request.approve_changes)
        rows = await self.desk.servers.tools(found.server_id)
        return mcp_pb2.RefreshMcpServerResponse(
            server=self._server(await self._found(call, request.server)),
            tools=[_tool(found.spec.name, row) for row in rows],
        )

    async def list_mcp_tools(self, call: Call, request: mcp_pb2.ListMcpToolsRequest) -> mcp_pb2.ListMcpToolsResponse:
        found = await self._found(call, request.server)
        await self.desk.meet(found)
        paging = self.tokens.paging(call.caller.tenant_id, request)
        after = paging.behind
        rows = await self.desk.servers.tools(found.server_id, after, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.name,))
        tools = [_tool(found.spec.name, row) for row in page]
        return mcp_pb2.ListMcpToolsResponse(tools=tools, next_page_token=token)

    async def call_mcp_tool(self, call: Call, request: mcp_pb2.CallMcpToolRequest) -> mcp_pb2.CallMcpToolResponse:
        check_name(request.name, "name")
        if BETWEEN not in request.name:
            raise invalid("name", "must be `server__tool`")
        tool = await self.desk.named(call.caller.tenant_id, request.name)
        ask = Ask(ids.spell("call", ids.new_uuid()), request.arguments_json)
        ran = await self.runner.insist(tool, ask, call.deadline)
        return mcp_pb2.CallMcpToolResponse(result=ran.result, duration=ran.run.duration, truncated=ran.run.truncated)

    async def _found(self, call: Call, name: str) -> ServerRow:
        check_name(name, "server")
        return await self.desk.find(call.caller.tenant_id, name)

    def _checked(self, spec: mcp_pb2.McpServerSpec) -> mcp_pb2.McpServerSpec:
        if spec.name in self.desk.stdio:
            raise taken(spec.name)
        checked = mcp_pb2.McpServerSpec()
        checked.CopyFrom(spec)
        checked.uri = address.parse(spec.uri, "spec.uri", self.policy).url
        return checked

    def _server(self, row: ServerRow) -> mcp_pb2.McpServer:
        contact, is_operators = self.desk.contact(row), row.tenant_id is None
        return mcp_pb2.McpServer(
            server_id=ids.spell("mcp", row.server_id),
            spec=row.spec,
            transport=mcp_pb2.MCP_TRANSPORT_STDIO if is_operators else mcp_pb2.MCP_TRANSPORT_HTTP,
            is_operators=is_operators,
            create_time=timestamp(row.create_time),
            refresh_time=timestamp(row.refresh_time),
            connected=contact.session >= 0 and not contact.failure,
            failure_reason=contact.failure,
        )


def _tool(server_name: str, row: ToolRow) -> mcp_pb2.McpTool:
    tool = mcp_pb2.McpTool(name=f"{server_name}{BETWEEN}{row.name}", state=row.state)
    if row.approved is not None:
        tool.description, tool.parameters_json_schema = row.approved.description, row.approved.parameters
        tool.definition_sha256 = row.approved.digest.hex()
    if row.told is not None and row.told != row.approved:
        tool.changed_description, tool.changed_parameters_json_schema = row.told.description, row.told.parameters
    return tool


def _operators(why: str) -> TrunklineError:
    return invalid("server", why, Reason.FIELD_FORBIDDEN)
