"""Exchanges that others recorded, read by this dialect and by a second, naive reader: they must agree."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.wire.recorded import Exchange, cut, exchanges, read
from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind
from trunkline_server.wire.ollama import Ollama

WIRE = Ollama()
answers = pytest.mark.parametrize("exchange", exchanges("ollama__api-chat__", lambda each: each.good))
errors = pytest.mark.parametrize("exchange", exchanges("ollama__api-chat__", lambda each: not each.good))
every = pytest.mark.parametrize("exchange", exchanges("ollama__api-chat__"))


def answer_of(exchange: Exchange, seed: int, *, streaming: bool = True) -> Answer:
    ask = Ask("ollama", "m", chat_pb2.ChatInput(), stream=False)
    decode = WIRE.decode_chat
    return read(
        lambda answer: decode(ask, answer, exchange.content_type), cut(exchange.body, seed), streaming=streaming
    )


def replies(exchange: Exchange) -> list[Any]:
    return [json.loads(line) for line in exchange.body.decode().splitlines() if line]


def text(exchange: Exchange, field: str) -> str:
    return "".join(reply["message"].get(field) or "" for reply in replies(exchange))


def without_made_ids(answer: Answer, exchange: Exchange) -> list[chat_pb2.Candidate]:
    """Ids that the server did not give are made, and so different each time."""
    candidates = answer.candidates()
    for part in candidates[0].message.parts:
        if part.tool_call.call_id.encode() not in exchange.body:
            part.tool_call.call_id = ""
    return candidates


@answers
@pytest.mark.parametrize("seed", range(4))
def test_answers(exchange: Exchange, seed: int) -> None:
    answer = answer_of(exchange, seed)
    parts = answer.candidates()[0].message.parts
    calls = [call["function"] for reply in replies(exchange) for call in reply["message"].get("tool_calls") or []]
    made = [part.tool_call for part in parts if part.HasField("tool_call")]
    assert "".join(part.text.text for part in parts) == text(exchange, "content")
    assert "".join(part.reasoning.text for part in parts) == text(exchange, "thinking")
    assert [(call.name, json.loads(call.arguments_json)) for call in made] == [
        (call["name"], call["arguments"]) for call in calls
    ]
    whole = answer_of(exchange, seed, streaming=False)
    assert without_made_ids(whole, exchange) == without_made_ids(answer, exchange)


@answers
def test_the_end(exchange: Exchange) -> None:
    last = replies(exchange)[-1]
    answer = answer_of(exchange, 0)
    (candidate,) = answer.candidates()
    reasons = {"stop": chat_pb2.FINISH_REASON_STOP, "length": chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS}
    called = any(part.HasField("tool_call") for part in candidate.message.parts)
    assert candidate.provider_finish_reason == last["done_reason"]
    assert candidate.finish_reason == (chat_pb2.FINISH_REASON_TOOL_CALLS if called else reasons[last["done_reason"]])
    assert answer.usage
    assert answer.usage.input_tokens == last["prompt_eval_count"]
    assert answer.usage.output_tokens == last["eval_count"]
    assert answer.model == last["model"]


@errors
def test_errors(exchange: Exchange) -> None:
    failure = WIRE.failure(exchange.status, exchange.headers, exchange.body)
    assert (failure.kind, failure.http_status) == (FailureKind.MODEL_UNKNOWN, 404)


@pytest.mark.parametrize("exchange", exchanges("ollama__api-tags__"))
def test_models(exchange: Exchange) -> None:
    assert WIRE.encode_models().path == exchange.path
    assert [each.name for each in WIRE.decode_models(exchange.body)] == [
        model["model"] for model in exchange.answer()["models"]
    ]


# Requests: what was sent, put into our words and spelled again.

ROLES = {
    "system": content_pb2.ROLE_SYSTEM,
    "user": content_pb2.ROLE_USER,
    "assistant": content_pb2.ROLE_ASSISTANT,
    "tool": content_pb2.ROLE_TOOL,
}


def ask_of(sent: dict[str, Any]) -> Ask:
    rest = dict(sent)
    question = chat_pb2.ChatInput(messages=[_message(message) for message in rest.pop("messages")])
    options = dict(rest.pop("options", {}))
    for field in ("temperature", "seed"):
        if field in options:
            setattr(question.sampling, field, options.pop(field))
    cap = options.pop("num_predict", None)
    if rest.get("format") == "json":
        question.output_format.json_object.SetInParent()
        rest.pop("format")
    if rest.get("think") is False:
        question.reasoning.effort = chat_pb2.REASONING_EFFORT_NONE
        rest.pop("think")
    question.tools.extend(_tool(tool["function"]) for tool in rest.pop("tools", []))
    stream = rest.pop("stream", True)
    return Ask(
        "ollama", rest.pop("model"), question, {**rest, "options": options}, stream=stream, max_output_tokens=cap
    )


def _tool(function: dict[str, Any]) -> content_pb2.Tool:
    wanted = content_pb2.FunctionTool(
        name=function["name"],
        description=function["description"],
        parameters_json_schema=json.dumps(function["parameters"]),
    )
    return content_pb2.Tool(function=wanted)


def _message(message: dict[str, Any]) -> content_pb2.Message:
    parts = [content_pb2.Part(text=content_pb2.TextPart(text=message["content"]))]
    if message["role"] == "tool":
        result = content_pb2.ToolResultPart(call_id="call_1", name="get_current_weather", parts=parts)
        parts = [content_pb2.Part(tool_result=result)]
    for call in message.get("tool_calls", []):
        arguments = json.dumps(call["function"]["arguments"])
        made = content_pb2.ToolCallPart(call_id="call_1", name=call["function"]["name"], arguments_json=arguments)
        parts.append(content_pb2.Part(tool_call=made))
    return content_pb2.Message(role=ROLES[message["role"]], parts=parts)


def plain(sent: dict[str, Any]) -> dict[str, Any]:
    """One spelling for what means the same; the server had no ids of calls when some of these were recorded."""
    normal = {key: value for key, value in sent.items() if value not in ("", None, [])}
    messages = [{key: value for key, value in message.items() if key[:5] != "tool_"} for message in sent["messages"]]
    calls = [call["function"]["arguments"] for message in sent["messages"] for call in message.get("tool_calls", ())]
    return {"stream": True, "truncate": False, "options": {}, **normal, "messages": messages, "calls": calls}


@every
def test_requests(exchange: Exchange) -> None:
    sent = exchange.question()
    ask = ask_of(sent)
    assert plain(json.loads(WIRE.encode_chat(ask).body)) == plain(sent)
    assert ask.warnings == []
