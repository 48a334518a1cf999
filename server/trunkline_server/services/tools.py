"""ToolService: tools that the gateway runs, registered by tenants or installed with it."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.v1 import tools_pb2
from trunkline_server.core import address, ids, schema
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.question import check_name
from trunkline_server.core.webhook import new_secret
from trunkline_server.gateway.tools.http_tools import SIGNING
from trunkline_server.gateway.tools.runner import Runner, told
from trunkline_server.gateway.tools.tool import Ask, Tool
from trunkline_server.gateway.tools.tool_headers import checked_headers
from trunkline_server.gateway.tools.toolbox import Toolbox
from trunkline_server.store.tools import Tools, taken


@dataclass(frozen=True)
class ToolService:
    """A secret goes in, and never stands in an answer but the first."""

    tools: Tools
    toolbox: Toolbox
    runner: Runner
    tokens: PageTokens
    policy: EgressPolicy

    async def create_tool(self, call: Call, request: tools_pb2.CreateToolRequest) -> tools_pb2.CreateToolResponse:
        spec = self._checked(request.spec)
        secrets = {**checked_headers(request.secret_headers), SIGNING: new_secret()}
        tool = await self.tools.create(call.caller.tenant_id, spec, secrets)
        return tools_pb2.CreateToolResponse(tool=tool, signing_secret=secrets[SIGNING])

    async def get_tool(self, call: Call, request: tools_pb2.GetToolRequest) -> tools_pb2.GetToolResponse:
        check_name(request.tool, "tool")
        if (installed := self.toolbox.installed.get(request.tool)) is not None:
            return tools_pb2.GetToolResponse(tool=_installed(installed))
        return tools_pb2.GetToolResponse(tool=await self.tools.find(call.caller.tenant_id, request.tool))

    async def list_tools(self, call: Call, request: tools_pb2.ListToolsRequest) -> tools_pb2.ListToolsResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        after = paging.behind
        rows = await self.tools.page(call.caller.tenant_id, after, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.spec.name,))
        installed = [] if paging.cursor else map(_installed, self.toolbox.installed.values())
        return tools_pb2.ListToolsResponse(tools=[*installed, *page], next_page_token=token)

    async def delete_tool(self, call: Call, request: tools_pb2.DeleteToolRequest) -> tools_pb2.DeleteToolResponse:
        check_name(request.tool, "tool")
        await self.tools.delete(call.caller.tenant_id, request.tool)
        return tools_pb2.DeleteToolResponse()

    async def invoke_tool(self, call: Call, request: tools_pb2.InvokeToolRequest) -> tools_pb2.InvokeToolResponse:
        tool = await self.toolbox.find(call, request.tool)
        ask = Ask(ids.spell("call", ids.new_uuid()), request.arguments_json)
        return told(await self.runner.insist(tool, ask, call.deadline))

    def _checked(self, spec: tools_pb2.ToolSpec) -> tools_pb2.ToolSpec:
        """What it would fail with later it is refused for now."""
        if "__" in spec.name or ids.parse("tool", spec.name) is not None:
            raise invalid("spec.name", "must not have '__' in it, nor look like the id of a tool")
        if spec.name in self.toolbox.installed:
            raise taken(spec.name)
        check_name(spec.description, "spec.description")
        if spec.parameters_json_schema:
            schema.compile(spec.parameters_json_schema, "spec.parameters_json_schema")
        if not spec.HasField("http"):
            raise invalid("spec.http", "is missing")
        checked = tools_pb2.ToolSpec()
        checked.CopyFrom(spec)
        checked.http.uri = address.parse(spec.http.uri, "spec.http.uri", self.policy).url
        return checked


def _installed(tool: Tool) -> tools_pb2.RegisteredTool:
    return tools_pb2.RegisteredTool(tool_id=tool.spec.name, spec=tool.spec, installed=True)
