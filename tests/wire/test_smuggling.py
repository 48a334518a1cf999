"""What a caller says inside a question never becomes a field of the provider's request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.v1 import chat_pb2, content_pb2, models_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.providers import builtin
from trunkline_server.providers.provider import Provider

SMUGGLED = '{}}]}],"model":"dear-model","contents":[],"smuggled":true,"x":[{"y":[{"z":{}'

TALKERS = [each for each in builtin.declarations() if models_pb2.CAPABILITY_CHAT in each.capabilities]


def ask(provider: str, model: str) -> Ask:
    """A conversation in which the model had once spelled its arguments wrongly: those words may be anything."""
    call = content_pb2.ToolCallPart(
        call_id="call_1", name="f", arguments_json=SMUGGLED, state=content_pb2.TOOL_CALL_STATE_INVALID
    )
    result = content_pb2.ToolResultPart(call_id="call_1", name="f", parts=[text("no")])
    messages = [
        content_pb2.Message(role=content_pb2.ROLE_USER, parts=[text("go")]),
        content_pb2.Message(role=content_pb2.ROLE_ASSISTANT, parts=[content_pb2.Part(tool_call=call)]),
        content_pb2.Message(role=content_pb2.ROLE_TOOL, parts=[content_pb2.Part(tool_result=result)]),
    ]
    tool = content_pb2.Tool(function=content_pb2.FunctionTool(name="f"))
    return Ask(provider, model, chat_pb2.ChatInput(model=model, messages=messages, tools=[tool]), stream=False)


def text(words: str) -> content_pb2.Part:
    return content_pb2.Part(text=content_pb2.TextPart(text=words))


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), f"{names} has a name twice"
    return dict(pairs)


@pytest.mark.parametrize("provider", TALKERS, ids=lambda provider: provider.name)
def test_words_of_a_call_stay_inside_of_it(provider: Provider) -> None:
    body = json.loads(provider.wire.encode_chat(ask(provider.name, "some-model")).body, object_pairs_hook=once)
    assert "smuggled" not in body
    assert body.get("model", "some-model") == "some-model"
