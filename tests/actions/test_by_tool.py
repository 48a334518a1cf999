"""Actions that tools execute, over the socket: what they get, what comes of it, and who has to say yes before."""

from __future__ import annotations

import json

from tests.fixtures import tooling
from tests.fixtures.acts import button, execute, form, register, validate
from tests.fixtures.gateway import Metadata, RunningGateway
from tests.fixtures.mcp_script import ScriptedMcp, definition
from tests.fixtures.refusal import Refusal, refusal
from tests.fixtures.talks import another_tenant
from tests.fixtures.upstream import Upstream
from trunkline.v1 import actions_pb2, admin_pb2, mcp_pb2, tools_pb2

SUCCEEDED, FAILED = actions_pb2.ACTION_STATUS_SUCCEEDED, actions_pb2.ACTION_STATUS_FAILED
SUM = button("sum", payload_json='{"a": 1, "b": 2}')
UNKNOWN = Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def test_a_tool_gets_what_people_gave_and_what_the_action_brings_along(
    desk: RunningGateway, clerk: Upstream
) -> None:
    await tooling.register(desk, f"{clerk.url}/add")
    made = await register(desk, "adder", tool="add")
    clerk.reply(json={"sum": 41})
    numbers = [actions_pb2.FormField(name=name, label=name, type=actions_pb2.FORM_FIELD_TYPE_INTEGER) for name in "ab"]
    asked = form(*numbers)
    asked.payload_json = '{"b": 40}'

    result = await execute(desk, asked, '{"a": 1, "b": 9007199254740993}')

    assert (result.status, json.loads(result.data_json), result.message) == (SUCCEEDED, {"sum": 41}, "")
    assert (result.handler_id, made.handler.tool, made.secret) == (made.handler.handler_id, "add", "")
    (request,) = clerk.requests
    assert request.json() == {"a": 1, "b": 40}
    assert request.headers["webhook-id"] == result.execution_id
    listed = await desk.actions.ListActionHandlers(actions_pb2.ListActionHandlersRequest(), metadata=desk.metadata())
    assert list(listed.handlers) == [made.handler]


async def test_words_of_a_tool_are_the_message(desk: RunningGateway, clerk: Upstream) -> None:
    made = await tooling.register(desk, f"{clerk.url}/add")
    await register(desk, "adder", tool=made.tool.tool_id)
    clerk.reply(b"forty-one", headers={"content-type": "text/plain"})
    result = await execute(desk, SUM)
    assert (result.status, result.data_json, result.message) == (SUCCEEDED, "", "forty-one")


async def test_what_a_tool_cannot_do_is_a_result(desk: RunningGateway, clerk: Upstream) -> None:
    await tooling.register(desk, f"{clerk.url}/add")
    await register(desk, "adder", tool="add")
    clerk.reply(b"a secret", status=500)
    broken = await execute(desk, SUM)
    assert (broken.status, broken.error_reason, broken.message) == (FAILED, "TOOL_FAILED", "")
    wrong = await execute(desk, button("sum", payload_json='{"a": "one"}'))
    assert (wrong.status, wrong.error_reason) == (FAILED, "ARGUMENTS_INVALID")
    assert len(clerk.requests) == 1
    await desk.tools.DeleteTool(tools_pb2.DeleteToolRequest(tool="add"), metadata=desk.metadata())
    gone = await execute(desk, SUM)
    assert (gone.status, gone.error_reason) == (FAILED, "UNREACHABLE")


async def test_a_tool_of_an_mcp_server_is_one_like_any(desk: RunningGateway, clerk: Upstream) -> None:
    sums = ScriptedMcp(clerk)
    spec = mcp_pb2.McpServerSpec(name="sums", uri=sums.url, needs_approval=True)
    await desk.mcp.CreateMcpServer(mcp_pb2.CreateMcpServerRequest(spec=spec), metadata=desk.metadata())
    assert await refusal(register(desk, "adder", tool="sums__subtract")) == UNKNOWN
    assert await refusal(handler(desk, "sums__add", await another_tenant(desk))) == UNKNOWN
    await register(desk, "adder", tool="sums__add")
    token = (await validate(desk, SUM)).confirmation_token
    assert (await execute(desk, SUM, confirmation_token=token)).message == "3"
    assert [asked.json()["params"]["arguments"] for asked in sums.calls] == [{"a": 1, "b": 2}]
    sums.tools = [definition(description="Takes everything away.")]
    refresh = mcp_pb2.RefreshMcpServerRequest(server="sums")
    await desk.mcp.RefreshMcpServer(refresh, metadata=desk.metadata())
    changed = await execute(desk, SUM)
    assert (changed.status, changed.error_reason, len(sums.calls)) == (FAILED, "TOOL_CHANGED", 1)


async def test_a_tool_that_needs_approval_runs_once_for_each_yes(desk: RunningGateway, clerk: Upstream) -> None:
    await tooling.register(desk, f"{clerk.url}/add", needs_approval=True)
    await register(desk, "adder", tool="add")
    unasked = Refusal("FAILED_PRECONDITION", "CONFIRMATION_REQUIRED")
    assert await refusal(execute(desk, SUM)) == unasked
    token = (await validate(desk, SUM)).confirmation_token
    other = button("sum", payload_json='{"a": 1, "b": 3}')
    assert await refusal(execute(desk, other, confirmation_token=token)) == unasked
    clerk.reply(json=3)
    assert (await execute(desk, SUM, confirmation_token=token)).data_json == "3"
    assert await refusal(execute(desk, SUM, confirmation_token=token)) == unasked
    assert len(clerk.requests) == 1


async def test_only_who_may_run_a_tool_may_have_it_executed(desk: RunningGateway, clerk: Upstream) -> None:
    made = await tooling.register(desk, f"{clerk.url}/add")
    clerk_key = desk.metadata(key=await key_with(desk, "actions:write"))
    foreign = await another_tenant(desk)
    lacking = Refusal("PERMISSION_DENIED", "SCOPE_MISSING")
    assert await refusal(handler(desk, "add", clerk_key)) == lacking
    for name in ("add", made.tool.tool_id):
        assert await refusal(handler(desk, name, foreign)) == UNKNOWN
    assert await refusal(register(desk, "adder", tool="subtract")) == UNKNOWN


async def handler(gateway: RunningGateway, tool: str, metadata: Metadata) -> None:
    request = actions_pb2.CreateActionHandlerRequest(name="x", action_pattern="*", tool=tool)
    await gateway.actions.CreateActionHandler(request, metadata=metadata)


async def key_with(gateway: RunningGateway, scope: str) -> str:
    request = admin_pb2.CreateApiKeyRequest(name="clerk", scopes=[scope])
    return (await gateway.admin.CreateApiKey(request, metadata=gateway.metadata())).secret
