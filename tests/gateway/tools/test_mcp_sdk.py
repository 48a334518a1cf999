"""The MCP client against the official SDK's own server, over both transports."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn

from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, StartGateway, question, text_of
from tests.fixtures.mcp_program import server as sums
from tests.fixtures.refusal import Refusal, invalid, refusal
from tests.fixtures.tooling import complete
from tests.fixtures.until import until
from trunkline.v1 import content_pb2, mcp_pb2

ROOT = Path(__file__).resolve().parents[3]
TOOL_FAILED = Refusal("UNAVAILABLE", "TOOL_FAILED")
TOOLS = ["sums__add", "sums__end", "sums__environment", "sums__fail"]


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    """The SDK's server on a free port."""
    settings = uvicorn.Config(sums.streamable_http_app(), port=0, log_config=None, lifespan="on")
    server = uvicorn.Server(settings)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def call(gateway: RunningGateway, name: str, **arguments: object) -> content_pb2.ToolResultPart:
    request = mcp_pb2.CallMcpToolRequest(name=f"sums__{name}", arguments_json=json.dumps(arguments))
    return (await gateway.mcp.CallMcpTool(request, metadata=gateway.metadata())).result


async def conforms(gateway: RunningGateway) -> None:
    """What every transport must do."""
    request = mcp_pb2.RefreshMcpServerRequest(server="sums")
    refreshed = await gateway.mcp.RefreshMcpServer(request, metadata=gateway.metadata())
    assert [tool.name for tool in refreshed.tools] == TOOLS
    assert refreshed.tools[0].description == "Adds two numbers."
    assert refreshed.server.connected
    assert json.loads((await call(gateway, "add", a=1, b=2)).structured_json) == {"result": 3}
    assert (await call(gateway, "fail")).is_error
    answers = await asyncio.gather(*(call(gateway, "add", a=n, b=n) for n in range(8)))
    assert [json.loads(answer.structured_json)["result"] for answer in answers] == [2 * n for n in range(8)]
    assert await refusal(call(gateway, "add", a="x", b=2)) == invalid("arguments_json")
    tools = content_pb2.McpTools(server="sums", tool_names=["add"])
    answer = await complete(gateway, question("add", "sandbox/tools", tools=[content_pb2.Tool(mcp=tools)]))
    assert text_of(answer).startswith("The tool says: ")


async def test_over_streamable_http(books: Books, start_gateway: StartGateway) -> None:
    async with served() as port:
        hosts = json.dumps([f"127.0.0.1:{port}"])
        gateway = await start_gateway(egress={"allow_http_hosts": hosts, "allow_private_hosts": hosts})
        spec = mcp_pb2.McpServerSpec(name="sums", uri=f"http://127.0.0.1:{port}/mcp")
        await gateway.mcp.CreateMcpServer(mcp_pb2.CreateMcpServerRequest(spec=spec), metadata=gateway.metadata())
        await conforms(gateway)


async def test_over_stdio(books: Books, start_gateway: StartGateway, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fixtures.mcp_program"]
    environment = {"PYTHONPATH": str(ROOT), "GREETING": "hello"}
    settings = tmp_path / "trunkline.toml"
    settings.write_text(
        f"[mcp_servers.sums]\ncommand = {json.dumps(command)}\n"
        f"[mcp_servers.sums.environment]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in environment.items())
    )
    gateway = await start_gateway({"TRUNKLINE_CONFIG": str(settings), "SECRET_KEY": "x"})
    listed = await gateway.mcp.ListMcpTools(mcp_pb2.ListMcpToolsRequest(server="sums"), metadata=gateway.metadata())
    assert [tool.name for tool in listed.tools] == TOOLS  # though nobody has used it so far
    await conforms(gateway)
    seen = json.loads((await call(gateway, "environment")).structured_json)["result"]
    assert "GREETING" in seen
    assert not [name for name in seen if "TRUNKLINE" in name or name == "SECRET_KEY"]
    assert await refusal(call(gateway, "end")) == TOOL_FAILED
    assert json.loads((await call(gateway, "add", a=1, b=2)).structured_json) == {"result": 3}  # it was started again
    gone = mcp_pb2.DeleteMcpServerRequest(server="sums")
    heard = await refusal(gateway.mcp.DeleteMcpServer(gone, metadata=gateway.metadata()))
    assert heard == Refusal("PERMISSION_DENIED", "FIELD_FORBIDDEN", "server")


async def test_a_program_that_never_began_is_told_of(books: Books, start_gateway: StartGateway, tmp_path: Path) -> None:
    settings = tmp_path / "trunkline.toml"
    settings.write_text('[mcp_servers.sums]\ncommand = ["/nowhere/at/all"]\n')
    gateway = await start_gateway({"TRUNKLINE_CONFIG": str(settings)})
    asked = question("add", "sandbox/tools", tools=[content_pb2.Tool(mcp=content_pb2.McpTools(server="sums"))])
    assert await refusal(complete(gateway, asked)) == TOOL_FAILED
    listing = gateway.mcp.ListMcpTools(mcp_pb2.ListMcpToolsRequest(server="sums"), metadata=gateway.metadata())
    assert await refusal(listing) == TOOL_FAILED
