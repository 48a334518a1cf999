"""Tools that are dangerous: a person's word, for one call with its arguments, once."""

from __future__ import annotations

import asyncio

import pytest

from tests.fixtures.gateway import RunningGateway, StartGateway, text_of
from tests.fixtures.refusal import Refusal, invalid, refusal
from tests.fixtures.talks import another_tenant
from tests.fixtures.tooling import complete, kinds, near, register, results, scripted, streamed, using
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream
from trunkline.v1 import chat_pb2, content_pb2

REFUSED = invalid("input.tool_approvals.approval_token")


@pytest.fixture
async def gateway(start_gateway: StartGateway, upstream: Upstream) -> RunningGateway:
    """With a tool that needs approval."""
    gateway = await near(start_gateway, upstream)
    await register(gateway, upstream.url, needs_approval=True)
    upstream.respond(lambda _: upstream.whole(json={"sum": 3}))
    return gateway


async def paused(gateway: RunningGateway) -> content_pb2.Message:
    """What the model said when it was stopped."""
    answer = await complete(gateway, using("add"))
    assert answer.candidates[0].finish_reason == chat_pb2.FINISH_REASON_PAUSED
    return answer.candidates[0].message


def continued(said: content_pb2.Message, *, approved: bool = True, token: str = "") -> chat_pb2.ChatInput:
    called = said.parts[0].tool_call
    word = chat_pb2.ToolApproval(
        call_id=called.call_id, approval_token=token or called.approval_token, approved=approved
    )
    input = using("add", tool_approvals=[word])
    input.messages.append(said)
    return input


async def test_nothing_runs_before_it_is_approved(gateway: RunningGateway, upstream: Upstream) -> None:
    said = await paused(gateway)
    assert said.parts[0].tool_call.state == content_pb2.TOOL_CALL_STATE_AWAITING_APPROVAL
    assert upstream.requests == []
    answer = await complete(gateway, continued(said))
    assert kinds(answer) == ["tool_result", "text"]
    assert text_of(answer) == 'The tool says: {"sum": 3}'
    assert len(upstream.requests) == 1


async def test_what_is_declined_does_not_run(gateway: RunningGateway, upstream: Upstream) -> None:
    answer = await complete(gateway, continued(await paused(gateway), approved=False))
    assert "declined" in text_of(answer)
    assert upstream.requests == []


async def test_a_token_is_good_once(gateway: RunningGateway, upstream: Upstream) -> None:
    input = continued(await paused(gateway))
    await complete(gateway, input)
    assert await refusal(complete(gateway, input)) == REFUSED
    assert len(upstream.requests) == 1


async def test_a_token_is_of_its_arguments(gateway: RunningGateway, upstream: Upstream) -> None:
    input = continued(await paused(gateway))
    input.messages[-1].parts[0].tool_call.arguments_json = '{"a": 1000, "b": 1}'
    assert await refusal(complete(gateway, input)) == REFUSED
    assert upstream.requests == []


@pytest.mark.parametrize("token", ["x", "é", "AAAA", "A" * 64])
async def test_a_made_up_token_is_none(gateway: RunningGateway, upstream: Upstream, token: str) -> None:
    assert await refusal(complete(gateway, continued(await paused(gateway), token=token))) == REFUSED
    assert upstream.requests == []


async def test_a_missing_word_is_asked_for(gateway: RunningGateway, upstream: Upstream) -> None:
    said = await paused(gateway)
    input = using("add")
    input.messages.append(said)
    assert await refusal(complete(gateway, input)) == invalid("input.tool_approvals")
    stranger = continued(said)
    stranger.tool_approvals.add(call_id="nobody", approval_token="x")
    assert await refusal(complete(gateway, stranger)) == invalid("input.tool_approvals")
    assert upstream.requests == []


async def test_a_call_that_is_said_to_be_broken_does_not_run_unasked(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    said = await paused(gateway)
    said.parts[0].tool_call.state = content_pb2.TOOL_CALL_STATE_INVALID
    input = using("add")
    input.messages.append(said)
    answer = await complete(gateway, input)
    assert "VALIDATION" in text_of(answer)
    assert upstream.requests == []


async def test_a_word_is_not_used_up_while_another_is_missing(gateway: RunningGateway, upstream: Upstream) -> None:
    call = ("add", {"a": 1, "b": 2})
    said = (await complete(gateway, scripted(call, call))).candidates[0].message
    again = using("add")
    again.messages.append(said)
    for part in said.parts:
        assert await refusal(complete(gateway, again)) == invalid("input.tool_approvals")
        called = part.tool_call
        again.tool_approvals.add(call_id=called.call_id, approval_token=called.approval_token, approved=True)
    assert len(results(await complete(gateway, again))) == len(upstream.requests) == 2


async def test_a_stream_pauses_too(gateway: RunningGateway, upstream: Upstream) -> None:
    events = await streamed(gateway, using("add"))
    (done,) = [event.part_completed.part for event in events if event.HasField("part_completed")]
    assert done.tool_call.state == content_pb2.TOOL_CALL_STATE_AWAITING_APPROVAL
    assert events[-2].candidate_completed.finish_reason == chat_pb2.FINISH_REASON_PAUSED
    said = content_pb2.Message(role=content_pb2.ROLE_ASSISTANT, parts=[done])
    answer = await complete(gateway, continued(said))
    assert text_of(answer) == 'The tool says: {"sum": 3}'
    assert len(upstream.requests) == 1


async def test_another_user_of_the_tenant_may_approve_and_a_stranger_may_not(gateway: RunningGateway) -> None:
    input = continued(await paused(gateway))
    stranger = await another_tenant(gateway)
    asked = chat_pb2.CompleteRequest(input=input)
    heard = await refusal(gateway.chat.Complete(asked, metadata=stranger))
    assert heard == Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")
    await complete(gateway, input, "eve")


async def test_approved_calls_run_at_once_but_not_more_than_may(
    start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = await near(start_gateway, upstream, parallel_max=1)
    await register(gateway, upstream.url, needs_approval=True)
    go = asyncio.Event()
    for _ in range(3):
        upstream.stream([b"{", go, b"}"], content_type="application/json")
    call = ("add", {"a": 1, "b": 2})
    said = (await complete(gateway, scripted(call, call, call))).candidates[0].message
    again = using("add")
    again.messages.append(said)
    for part in said.parts:
        called = part.tool_call
        again.tool_approvals.add(call_id=called.call_id, approval_token=called.approval_token, approved=True)
    asking = asyncio.create_task(complete(gateway, again))
    await until(lambda: bool(upstream.requests))
    assert len(upstream.requests) == 1
    go.set()
    assert len(results(await asking)) == len(upstream.requests) == 3
