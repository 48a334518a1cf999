"""Puts tools together: those installed, tenants' own, their service, and the loop around whoever asks models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from google.protobuf.descriptor import ServiceDescriptor

from trunkline.v1 import mcp_pb2, tools_pb2
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.page_token import PageTokens
from trunkline_server.gateway.gateway import Gateway
from trunkline_server.gateway.jobs.orders import Orders
from trunkline_server.gateway.jobs.tool import ToolJob
from trunkline_server.gateway.live import LiveCalls
from trunkline_server.gateway.tools.approvals import Approvals
from trunkline_server.gateway.tools.http_tools import HttpTools
from trunkline_server.gateway.tools.installed import installed
from trunkline_server.gateway.tools.loop import Gate, ToolLoop
from trunkline_server.gateway.tools.mcp_desk import McpDesk
from trunkline_server.gateway.tools.plain import PlainGate
from trunkline_server.gateway.tools.queued_runs import QueuedRuns
from trunkline_server.gateway.tools.runner import Runner, ToolSettings
from trunkline_server.gateway.tools.toolbox import Toolbox
from trunkline_server.house.background import order_settings
from trunkline_server.house.ground import Ground
from trunkline_server.providers.egress import Egress, EgressTimeouts
from trunkline_server.providers.mcp.link import Link
from trunkline_server.providers.mcp.stdio_link import StdioLink
from trunkline_server.services.mcp import McpService
from trunkline_server.services.tools import ToolService
from trunkline_server.store import outbox
from trunkline_server.store.jobs import Jobs
from trunkline_server.store.mcp_servers import McpServers
from trunkline_server.store.news import Announcer, News
from trunkline_server.store.tools import Tools


@dataclass(frozen=True)
class Tooling:
    """`egress` is for tools alone: they are given more time than pictures."""

    live: LiveCalls
    policy: EgressPolicy
    toolbox: Toolbox
    runner: Runner
    approvals: Approvals
    queued: QueuedRuns

    @classmethod
    async def open(cls, ground: Ground, gateway: Gateway) -> Self:
        given = ground.settings.tools
        egress = Egress(ground.policy, EgressTimeouts(connect_s=5.0, total_s=given.timeout_s))
        ground.stack.push_async_callback(egress.close)
        tools, desk = Tools(ground.database, ground.tenant_keys), await _open_desk(ground, egress)
        toolbox = Toolbox({tool.spec.name: tool for tool in installed()}, HttpTools(tools, egress), desk)
        runner = Runner(ToolSettings(given.rounds_max, given.parallel_max, given.timeout_s, given.result_bytes_max))
        return cls(
            live=gateway.live,
            policy=ground.policy,
            toolbox=toolbox,
            runner=runner,
            approvals=Approvals.derive(tools, ground.secret),
            queued=await _open_queued(ground, ToolJob(toolbox, runner, gateway.admission)),
        )

    def loop(self, gate: Gate) -> ToolLoop:
        return ToolLoop(gate, self.live, self.toolbox, self.runner, self.approvals, self.queued)

    def plain(self, gateway: Gateway) -> ToolLoop:
        """For calls that no kept answer will do for."""
        return self.loop(PlainGate(gateway))

    def services(self, tokens: PageTokens) -> list[tuple[ServiceDescriptor, object]]:
        """What callers may ask of it."""
        tools, desk = self.toolbox.http.tools, self.toolbox.mcp
        return [
            (
                tools_pb2.DESCRIPTOR.services_by_name["ToolService"],
                ToolService(tools, self.toolbox, self.runner, tokens, self.policy),
            ),
            (mcp_pb2.DESCRIPTOR.services_by_name["McpService"], McpService(desk, self.runner, tokens, self.policy)),
        ]


async def _open_queued(ground: Ground, job: ToolJob) -> QueuedRuns:
    """Hears of the ends of jobs once this returns."""
    database, news = ground.database, News()
    await news.follow(database, outbox.CHANNEL)
    orders = Orders({"tool": job}, order_settings(ground.settings.jobs))
    return QueuedRuns(orders, Jobs(database, Announcer(database)), news)


async def _open_desk(ground: Ground, egress: Egress) -> McpDesk:
    """The operator's programs start when somebody first asks for them, and end with the house."""
    settings, servers = ground.settings, McpServers(ground.database, ground.tenant_keys)
    links: dict[str, Link] = {}
    for name, given in settings.mcp_servers.items():
        await servers.keep_operators(mcp_pb2.McpServerSpec(name=name, needs_approval=given.needs_approval))
        links[name] = StdioLink(given.command, given.seen)
        ground.stack.push_async_callback(links[name].close)
    return McpDesk(servers, egress, links, settings.tools.timeout_s)
