"""Finds the tools that a tenant may have run: those installed with the gateway, and its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.core.question import check_name
from trunkline_server.gateway.tools.http_tools import HttpTools
from trunkline_server.gateway.tools.mcp_desk import BETWEEN, McpDesk
from trunkline_server.gateway.tools.tool import Tool

SCOPE: Final = "tools:run"


@dataclass(frozen=True, slots=True)
class Kit:
    """The tools of one call: what the model is offered, and what the gateway runs of it."""

    offered: list[content_pb2.Tool]
    runs: Mapping[str, Tool]

    def is_callers(self, name: str) -> bool:
        return any(tool.function.name == name for tool in self.offered) and name not in self.runs


@dataclass(frozen=True, slots=True)
class Toolbox:
    """A tool that is installed has its name before a tenant's."""

    installed: Mapping[str, Tool]
    http: HttpTools
    mcp: McpDesk

    async def find(self, call: Call, name: str, path: str = "tool") -> Tool:
        """By id or name, or as `server__tool`. Raises RESOURCE_NOT_FOUND, TOOL_CHANGED."""
        check_name(name, path)
        return await self.of(call.caller.tenant_id, name)

    async def of(self, tenant_id: UUID, name: str) -> Tool:
        """A tenant's. Raises RESOURCE_NOT_FOUND, TOOL_CHANGED."""
        if name in self.installed:
            return self.installed[name]
        if BETWEEN in name:
            return await self.mcp.named(tenant_id, name)
        return self.http.tool(tenant_id, await self.http.tools.find(tenant_id, name))

    async def kit(self, call: Call, input: chat_pb2.ChatInput) -> Kit:
        """Raises SCOPE_MISSING, RESOURCE_NOT_FOUND, VALIDATION."""
        require_scope(call)
        offered: list[content_pb2.Tool] = []
        runs: dict[str, Tool] = {}
        for index, asked in enumerate(input.tools):
            for tool in await self._meant(call, asked, f"input.tools[{index}]"):
                if tool.spec.name in runs:
                    raise invalid(f"input.tools[{index}]", f"the name {tool.spec.name!r} is that of an earlier tool")
                runs[tool.spec.name] = tool
                offered.append(_offer(tool, asked))
            if not is_run_here(asked):
                offered.append(asked)
        return Kit(offered, runs)

    async def _meant(self, call: Call, asked: content_pb2.Tool, path: str) -> list[Tool]:
        if asked.HasField("tool_id"):
            return [await self.find(call, asked.tool_id, f"{path}.tool_id")]
        if asked.HasField("mcp"):
            check_name(asked.mcp.server, f"{path}.mcp.server")
            for name in asked.mcp.tool_names:
                check_name(name, f"{path}.mcp.tool_names")
            return await self.mcp.offered(call.caller.tenant_id, asked.mcp.server, asked.mcp.tool_names, f"{path}.mcp")
        return []


def require_scope(call: Call) -> None:
    if not call.caller.may(SCOPE):
        message = f"the API key lacks the scope {SCOPE!r}"
        raise TrunklineError(Reason.SCOPE_MISSING, message, metadata={"scope": SCOPE})


def is_run_here(tool: content_pb2.Tool) -> bool:
    """Whether the gateway runs it."""
    return tool.HasField("tool_id") or tool.HasField("mcp")


def has_rounds(input: chat_pb2.ChatInput) -> bool:
    """Whether a call is one in which the gateway runs tools."""
    return bool(input.tool_approvals) or any(map(is_run_here, input.tools))


def _offer(tool: Tool, asked: content_pb2.Tool) -> content_pb2.Tool:
    """As a provider knows tools."""
    offered = content_pb2.Tool()
    offered.function.name = tool.spec.name
    offered.function.description = tool.spec.description
    offered.function.parameters_json_schema = tool.spec.parameters_json_schema
    if asked.HasField("cache_hint"):
        offered.cache_hint.CopyFrom(asked.cache_hint)
    return offered
