"""ToolService, and tools behind addresses: what goes out, what comes back, and what may go wrong."""

from __future__ import annotations

import json

import pytest
from google.protobuf.duration_pb2 import Duration

from tests.fixtures.gateway import RunningGateway, StartGateway
from tests.fixtures.refusal import Refusal, invalid, refusal
from tests.fixtures.talks import another_tenant
from tests.fixtures.tooling import invoke, near, register
from tests.fixtures.upstream import Upstream, head
from trunkline.v1 import admin_pb2, tools_pb2
from trunkline_server.core.webhook import is_signed
from trunkline_server.store.database import Database

TOOL_FAILED = Refusal("UNAVAILABLE", "TOOL_FAILED")
NOT_FOUND = Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def test_a_call_is_signed_and_carries_the_tools_own_secrets(
    start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = await near(start_gateway, upstream)
    made = await register(gateway, f"{upstream.url}/add", secret_headers={"Authorization": "Bearer sesame"})
    upstream.reply(json={"sum": 3})
    answered = await invoke(gateway, "add", a=1, b=2)
    (asked,) = upstream.requests
    assert (asked.method, asked.path, asked.json()) == ("POST", "/add", {"a": 1, "b": 2})
    assert asked.headers["authorization"] == "Bearer sesame"
    signed = (asked.headers["webhook-id"], int(asked.headers["webhook-timestamp"]), asked.body)
    assert is_signed(made.signing_secret, *signed, asked.headers["webhook-signature"])
    assert json.loads(answered.result.structured_json) == {"sum": 3}
    assert answered.result.parts[0].text.text == answered.result.structured_json
    assert answered.result.call_id == asked.headers["webhook-id"]


async def test_secrets_are_sealed_and_never_told(
    database: Database, start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = await near(start_gateway, upstream)
    made = await register(gateway, upstream.url, secret_headers={"x-key": "sesame"})
    row = await database.fetchrow("SELECT * FROM tool")
    assert row is not None
    kept = repr(tuple(row.values()))
    assert "sesame" not in kept
    assert made.signing_secret not in kept
    listed = await gateway.tools.ListTools(tools_pb2.ListToolsRequest(), metadata=gateway.metadata())
    assert "sesame" not in str(listed)
    assert [tool.spec.name for tool in listed.tools] == ["add"]


async def test_tools_belong_to_their_tenant(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = await near(start_gateway, upstream)
    made = await register(gateway, upstream.url)
    stranger = await another_tenant(gateway)
    for name in ("add", made.tool.tool_id):
        asked = tools_pb2.GetToolRequest(tool=name)
        assert (await gateway.tools.GetTool(asked, metadata=gateway.metadata())).tool == made.tool
        assert await refusal(gateway.tools.GetTool(asked, metadata=stranger)) == NOT_FOUND
        run = tools_pb2.InvokeToolRequest(tool=name, arguments_json='{"a": 1, "b": 2}')
        assert await refusal(gateway.tools.InvokeTool(run, metadata=stranger)) == NOT_FOUND
        gone = tools_pb2.DeleteToolRequest(tool=name)
        assert await refusal(gateway.tools.DeleteTool(gone, metadata=stranger)) == NOT_FOUND
    await register(gateway, upstream.url, metadata=stranger)  # its name is theirs too
    await gateway.tools.DeleteTool(tools_pb2.DeleteToolRequest(tool="add"), metadata=gateway.metadata())
    gone = tools_pb2.DeleteToolRequest(tool="add")
    assert await refusal(gateway.tools.DeleteTool(gone, metadata=gateway.metadata())) == NOT_FOUND
    assert upstream.requests == []


async def test_what_cannot_be_used_is_refused_when_it_is_registered(
    start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = await near(start_gateway, upstream)
    await register(gateway, upstream.url)
    assert await refusal(register(gateway, upstream.url)) == Refusal("ALREADY_EXISTS", "RESOURCE_EXISTS")
    assert await refusal(register(gateway, upstream.url, "a__b")) == invalid("spec.name")
    assert await refusal(register(gateway, "http://10.0.0.1/", "hidden")) == invalid("spec.http.uri", "URL_NOT_ALLOWED")
    headers = {"Webhook-Id": "mine"}
    forbidden = Refusal("PERMISSION_DENIED", "FIELD_FORBIDDEN", "secret_headers")
    assert await refusal(register(gateway, upstream.url, "forger", secret_headers=headers)) == forbidden


@pytest.mark.parametrize("arguments", [{}, {"a": 1}, {"a": "1", "b": 2}, {"a": 1, "b": 2, "c": 3}])
async def test_arguments_meet_the_schema_or_never_leave(
    start_gateway: StartGateway, upstream: Upstream, arguments: dict[str, object]
) -> None:
    gateway = await near(start_gateway, upstream)
    await register(gateway, upstream.url)
    assert await refusal(invoke(gateway, "add", **arguments)) == invalid("arguments_json")
    assert upstream.requests == []


async def test_a_tool_that_fails(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = await near(start_gateway, upstream)
    await register(gateway, upstream.url)
    upstream.reply(b"the password is hunter2", status=500)
    assert await refusal(invoke(gateway, "add", a=1, b=2)) == TOOL_FAILED


async def test_a_tool_that_redirects_without_end(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = await near(start_gateway, upstream)
    await register(gateway, upstream.url)
    upstream.respond(lambda _: upstream.whole(status=302, headers={"location": upstream.url}))
    assert await refusal(invoke(gateway, "add", a=1, b=2)) == TOOL_FAILED
    assert len(upstream.requests) == 1


async def test_a_tool_that_is_slow_is_left(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = await near(start_gateway, upstream)
    await register(gateway, upstream.url, timeout=Duration(seconds=1))
    answer = upstream.hang()
    assert await refusal(invoke(gateway, "add", a=1, b=2)) == Refusal("DEADLINE_EXCEEDED", "DEADLINE")
    await answer.client_left()


async def test_a_tool_that_never_stops_is_left(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = await near(start_gateway, upstream)
    await register(gateway, upstream.url)
    size = 50 * 1024 * 1024
    answer = upstream.raw(head(200, {"content-length": str(size)}), *(bytes(1024 * 1024) for _ in range(50)))
    assert await refusal(invoke(gateway, "add", a=1, b=2)) == TOOL_FAILED
    await answer.client_left()


async def test_a_long_result_is_cut(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = await near(start_gateway, upstream)
    await register(gateway, upstream.url, result_bytes_max=10)
    upstream.reply(json="é" * 100)
    answered = await invoke(gateway, "add", a=1, b=2)
    assert answered.outcome.truncated
    assert len(answered.result.parts[0].text.text.encode()) <= 10
    assert not answered.result.structured_json


async def test_a_key_without_the_scope_runs_nothing(gateway: RunningGateway) -> None:
    request = admin_pb2.CreateApiKeyRequest(name="chatter", scopes=["chat:write", "tools:read"])
    made = await gateway.admin.CreateApiKey(request, metadata=gateway.metadata())
    run = tools_pb2.InvokeToolRequest(tool="add")
    heard = await refusal(gateway.tools.InvokeTool(run, metadata=gateway.metadata(key=made.secret)))
    assert heard == Refusal("PERMISSION_DENIED", "SCOPE_MISSING")
