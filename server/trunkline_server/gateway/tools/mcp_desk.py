"""MCP servers at work: keeps a link to each, hears what they say of their tools, and runs those that are as approved.

A server is asked for its tools again when it has forgotten us, when it says so, and when a minute has gone by.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final
from uuid import UUID

from trunkline.v1 import tools_pb2
from trunkline_server.core import schema
from trunkline_server.core.errors import Reason, TrunklineError, invalid, not_found
from trunkline_server.core.sealing import SealBroken
from trunkline_server.gateway.tools.http_tools import tool_failed
from trunkline_server.gateway.tools.tool import READ_BYTES_MAX, Ask, Said, Tool
from trunkline_server.providers.egress import Egress
from trunkline_server.providers.mcp.http_link import HttpLink
from trunkline_server.providers.mcp.link import Link, broken
from trunkline_server.store.mcp_servers import TOOLS_MAX, McpServers, ServerRow, Told, ToolRow
from trunkline_server.wire import mcp

LOOK_S: Final = 60.0
LINKS_MAX: Final = 256
PAGES_MAX: Final = 16
NAME_CHARS_MAX: Final = 64
DESCRIPTION_CHARS_MAX: Final = 16384
BETWEEN: Final = "__"
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Contact:
    """What this replica knows of a server. `error` is why it could not be reached when it was tried last."""

    link: Link
    looked_at: float = -LOOK_S
    session: int = -1
    tried_at: float = -LOOK_S
    error: TrunklineError | None = None
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def failure(self) -> str:
        """Its reason."""
        return self.error.reason.value if self.error else ""

    def is_fresh(self, now: float) -> bool:
        return self.session == self.link.session and now - self.looked_at < LOOK_S


class McpDesk:
    """`stdio` are the operator's servers by name."""

    def __init__(self, servers: McpServers, egress: Egress, stdio: Mapping[str, Link], timeout_s: float) -> None:
        self.servers = servers
        self.stdio = stdio
        self._egress = egress
        self._timeout_s = timeout_s
        self._contacts: dict[UUID, Contact] = {}

    async def find(self, tenant_id: UUID, name: str) -> ServerRow:
        """By id or name, the operator's first. Raises RESOURCE_NOT_FOUND."""
        if name in self.stdio:
            return await self.servers.find_operators(name)
        return await self.servers.find(tenant_id, name)

    def contact(self, server: ServerRow) -> Contact:
        """There is one, whether it was ever reached or not."""
        if server.server_id not in self._contacts:
            if len(self._contacts) >= LINKS_MAX:
                del self._contacts[next(iter(self._contacts))]
            self._contacts[server.server_id] = Contact(self._link(server))
        return self._contacts[server.server_id]

    def forget(self, server_id: UUID) -> None:
        """It is gone."""
        self._contacts.pop(server_id, None)

    async def refresh(self, server: ServerRow, *, approve: bool = False) -> None:
        """Ask for its tools, and keep what it says. Raises TOOL_FAILED, URL_NOT_ALLOWED, DEADLINE."""
        contact = self.contact(server)
        async with contact.looking:
            await self._tried(server, contact, approve=approve)

    async def meet(self, server: ServerRow) -> None:
        """One of the operator's that nobody has used so far is asked for its tools. Raises what `refresh` does."""
        if server.refresh_time is None:
            await self._look(server)

    async def offered(self, tenant_id: UUID, name: str, wanted: Sequence[str], path: str) -> list[Tool]:
        """The tools of a server, as approved. Raises RESOURCE_NOT_FOUND, VALIDATION; TOOL_CHANGED where it is named."""
        server = await self.find(tenant_id, name)
        await self._look(server)
        rows = {row.name: row for row in await self.servers.tools(server.server_id)}
        if strangers := [each for each in wanted if each not in rows]:
            raise invalid(f"{path}.tool_names", f"the server has no tool {strangers[0]!r}")
        meant = [rows[each] for each in wanted] if wanted else [row for row in rows.values() if _is_active(row)]
        return [self._tool(server, row) for row in meant]

    async def named(self, tenant_id: UUID, full_name: str) -> Tool:
        """`server__tool`. Raises RESOURCE_NOT_FOUND, TOOL_CHANGED."""
        server_name, _, name = full_name.partition(BETWEEN)
        server = await self.find(tenant_id, server_name)
        await self._look(server)
        row = await self.servers.tool(server.server_id, name)
        if row is None:
            raise not_found("mcp_tool", full_name)
        return self._tool(server, row)

    def _tool(self, server: ServerRow, row: ToolRow) -> Tool:
        if row.approved is None or not _is_active(row):
            raise _changed(server.spec.name, row.name)
        spec = tools_pb2.ToolSpec(
            name=f"{server.spec.name}{BETWEEN}{row.name}",
            description=row.approved.description,
            parameters_json_schema=row.approved.parameters,
            needs_approval=server.spec.needs_approval,
        )
        if server.spec.HasField("timeout"):
            spec.timeout.CopyFrom(server.spec.timeout)
        return Tool(spec, partial(self._run, server, row))

    async def _run(self, server: ServerRow, row: ToolRow, ask: Ask) -> Said:
        """Only while it is what was offered."""
        contact = self.contact(server)
        if not contact.is_fresh(asyncio.get_running_loop().time()):
            await self._look(server)
            if await self.servers.tool(server.server_id, row.name) != row:
                raise _changed(server.spec.name, row.name)
        try:
            said = mcp.read_outcome(await contact.link.ask("tools/call", mcp.calling(row.name, ask.arguments_json)))
        except mcp.McpBroken:
            raise broken() from None
        if len(said.text) > READ_BYTES_MAX:
            raise tool_failed(f"the tool said more than {READ_BYTES_MAX} characters")
        return Said(said.text, said.is_json, said.is_error)

    async def _look(self, server: ServerRow) -> None:
        """Hear of changes; a server that cannot be reached keeps the tools it had, whose calls then fail. Raises what
        `refresh` does where it never had any.
        """
        contact = self.contact(server)
        if contact.is_fresh(asyncio.get_running_loop().time()):
            return
        try:
            await self._looked(server, contact)
        except TrunklineError as error:
            if server.refresh_time is None:
                raise
            _log.warning("mcp.unreachable server=%s reason=%s", server.spec.name, error.reason.value)

    async def _looked(self, server: ServerRow, contact: Contact) -> None:
        """Whoever comes while another asks waits for what comes of that: a slow server is not asked once for each."""
        came_at = asyncio.get_running_loop().time()
        async with contact.looking:
            if contact.tried_at < came_at:
                await self._tried(server, contact)
            elif contact.error is not None:
                raise replace(contact.error)

    async def _tried(self, server: ServerRow, contact: Contact, *, approve: bool = False) -> None:
        loop = asyncio.get_running_loop()
        try:
            tools, contact.error = await self._asked(contact.link), None
        except TrunklineError as error:
            contact.tried_at, contact.error = loop.time(), replace(error)  # without what hangs on it
            raise
        await self.servers.told(server.server_id, _usable(server.spec.name, tools), approve=approve)
        contact.session = contact.link.session
        contact.looked_at = contact.tried_at = loop.time()

    async def _asked(self, link: Link) -> list[mcp.Definition]:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await _listed(link)
        except TimeoutError:
            message = "the MCP server did not answer in time"
            raise TrunklineError(Reason.DEADLINE, message, metadata={"stage": "tool"}) from None
        except mcp.McpBroken:
            raise broken() from None

    def _link(self, server: ServerRow) -> Link:
        if server.tenant_id is None:
            return self.stdio[server.spec.name]
        secrets = partial(self._secrets, server.tenant_id, server.server_id)
        return HttpLink(self._egress, server.tenant_id, server.spec.uri, secrets)

    async def _secrets(self, tenant_id: UUID, server_id: UUID) -> Mapping[str, str]:
        try:
            return await self.servers.secrets(tenant_id, server_id)
        except SealBroken:
            _log.error("mcp.sealed server=%s", server_id)
            raise tool_failed("the MCP server's secrets cannot be opened") from None


async def _listed(link: Link) -> list[mcp.Definition]:
    """All pages, so far as anybody would read."""
    tools: list[mcp.Definition] = []
    cursor = ""
    for _ in range(PAGES_MAX):
        page, cursor = mcp.read_tools(await link.ask("tools/list", {"cursor": cursor} if cursor else {}))
        tools += page
        if not cursor or len(tools) >= TOOLS_MAX:
            break
    return tools[:TOOLS_MAX]


def _usable(server_name: str, tools: Sequence[mcp.Definition]) -> list[Told]:
    """Those that a model can be offered, each once."""
    usable = {tool.name: tool for tool in tools if _is_usable(server_name, tool)}
    return [Told(tool.name, tool.description, tool.schema, tool.digest) for tool in usable.values()]


def _is_usable(server_name: str, tool: mcp.Definition) -> bool:
    full = f"{server_name}{BETWEEN}{tool.name}"
    if len(full) > NAME_CHARS_MAX or not full.replace("_", "a").replace("-", "a").isalnum() or not full.isascii():
        return False
    if len(tool.description) > DESCRIPTION_CHARS_MAX or "\0" in tool.description:
        return False
    try:
        schema.compile(tool.schema, "")
    except TrunklineError:
        return False
    return "\0" not in tool.schema


def _is_active(row: ToolRow) -> bool:
    return row.approved is not None and row.approved == row.told


def _changed(server_name: str, name: str) -> TrunklineError:
    return TrunklineError(Reason.TOOL_CHANGED, f"the tool {name!r} of {server_name!r} is not what was approved")
