"""Actions that come with a call or are proposed by the model, given back with the answer and at the end of a stream."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from tests.fixtures.acts import button
from tests.fixtures.gateway import RunningGateway, question, reason_of
from trunkline.v1 import actions_pb2, chat_pb2, content_pb2

PROPOSED = {"name": "order.track", "label": "Track it", "link": {"uri": "https://example.com/track"}}


async def complete(gateway: RunningGateway, input: chat_pb2.ChatInput) -> chat_pb2.Completion:
    request = chat_pb2.CompleteRequest(input=input)
    return (await gateway.chat.Complete(request, metadata=gateway.metadata())).completion


async def streamed(gateway: RunningGateway, input: chat_pb2.ChatInput) -> chat_pb2.GenerationCompleted:
    stream = gateway.chat.Stream(chat_pb2.StreamRequest(input=input), metadata=gateway.metadata())
    return [told.event async for told in stream][-1].completed


async def with_tool(gateway: RunningGateway, *calls: dict[str, Any], **fields: Any) -> chat_pb2.ChatInput:
    """A question with the tool that is offered for proposals, and a model that calls it so."""
    types = await gateway.actions.ListActionTypes(actions_pb2.ListActionTypesRequest(), metadata=gateway.metadata())
    input = question("what now?", tools=[content_pb2.Tool(function=types.proposal_tool)], **fields)
    script = {"tool_calls": [{"name": types.proposal_tool.name, "arguments": call} for call in calls]}
    input.provider_options_json["sandbox"] = json.dumps({"script": script})
    return input


async def test_they_come_back_whole_and_streamed(gateway: RunningGateway) -> None:
    actions = [button(), button("order.cancel", "a2", dangerous=True)]
    input = question("Hello", actions=actions)
    assert list((await complete(gateway, input)).actions) == actions
    assert list((await streamed(gateway, input)).actions) == actions


async def test_an_answer_that_was_kept_gets_those_of_the_call(gateway: RunningGateway) -> None:
    cache = chat_pb2.CachePolicy(ttl=Duration(seconds=60))
    first = await complete(gateway, question("Hello", actions=[button()], cache=cache))
    second = await complete(gateway, question("Hello", actions=[button("other")], cache=cache))
    assert second.cache_status == chat_pb2.CACHE_STATUS_HIT
    assert [first.actions[0].name, second.actions[0].name] == ["order.show", "other"]


async def test_what_the_model_proposes_is_an_action(gateway: RunningGateway) -> None:
    confirm = {"name": "pay", "label": "Pay", "confirm": {"question": "Really?"}}
    input = await with_tool(gateway, PROPOSED, confirm, actions=[button(action_id="proposed-1")])
    answer, end = await complete(gateway, input), await streamed(gateway, input)
    assert [each.action_id for each in answer.actions] == ["proposed-1", "proposed-1x", "proposed-2"]
    assert answer.actions[1].link.uri == "https://example.com/track"
    assert answer.actions == end.actions


@pytest.mark.parametrize(
    "wrong",
    [
        {**PROPOSED, "link": {"uri": "javascript:alert(1)"}},
        {**PROPOSED, "button": {}},
        {**PROPOSED, "name": "a b"},
        {"name": "x", "label": "X", "dangerous": True},
        {**PROPOSED, "payload_json": "{}"},
    ],
)
async def test_a_proposal_that_is_no_whole_action_is_left_out(gateway: RunningGateway, wrong: dict[str, Any]) -> None:
    answer = await complete(gateway, await with_tool(gateway, wrong, PROPOSED))
    assert [each.name for each in answer.actions] == ["order.track"]
    assert len(answer.candidates[0].message.parts) == 2


async def test_no_more_than_twenty(gateway: RunningGateway) -> None:
    many = [button(action_id=f"a{number}") for number in range(20)]
    answer = await complete(gateway, await with_tool(gateway, PROPOSED, actions=many))
    assert list(answer.actions) == many
    assert await refused(gateway, question("Hello", actions=[*many, button(action_id="b")])) == "VALIDATION"


async def test_actions_that_are_not_whole_are_refused(gateway: RunningGateway) -> None:
    link = actions_pb2.Action(action_id="l", name="l", label="L", link=actions_pb2.LinkAction(uri="javascript:x"))
    for actions in ([button(), button()], [link], [button("a b")], [actions_pb2.Action(action_id="x")]):
        assert await refused(gateway, question("Hello", actions=actions)) == "VALIDATION"


async def refused(gateway: RunningGateway, input: chat_pb2.ChatInput) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await complete(gateway, input)
    return reason_of(error.value)


async def test_every_type_is_listed(gateway: RunningGateway) -> None:
    types = await gateway.actions.ListActionTypes(actions_pb2.ListActionTypesRequest(), metadata=gateway.metadata())
    kinds = [field.name for field in actions_pb2.Action.DESCRIPTOR.oneofs_by_name["kind"].fields]
    assert [each.kind for each in types.types] == kinds
    assert [each.type for each in types.types] == list(range(1, len(kinds) + 1))
    assert [each.kind for each in types.types if each.needs_confirmation] == ["confirm"]
