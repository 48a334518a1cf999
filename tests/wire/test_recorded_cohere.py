"""Exchanges that others recorded, read by this dialect and by a second, naive reader: they must agree."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.wire.recorded import Exchange, cut, exchanges, read
from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.cohere import Cohere

WIRE = Cohere()
FAILURES = {
    "cohere__v2-chat__error__12d5024e": FailureKind.MODEL_UNKNOWN,
    "cohere__v2-chat__error__e5d43bb6": FailureKind.CONTEXT_TOO_LONG,
    "cohere__v2-chat__stream__aaf7831c": FailureKind.BROKEN,
}
REASONS = {
    "COMPLETE": chat_pb2.FINISH_REASON_STOP,
    "MAX_TOKENS": chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS,
    "STOP_SEQUENCE": chat_pb2.FINISH_REASON_STOP_SEQUENCE,
    "TOOL_CALL": chat_pb2.FINISH_REASON_TOOL_CALLS,
}


def fails(exchange: Exchange) -> bool:
    return exchange.name.removesuffix(".json") in FAILURES


answers = pytest.mark.parametrize("exchange", exchanges("cohere__v2-chat__", lambda each: not fails(each)))
errors = pytest.mark.parametrize("exchange", exchanges("cohere__v2-chat__", fails))
every = pytest.mark.parametrize("exchange", exchanges("cohere__v2-chat__"))


def answer_of(exchange: Exchange, seed: int, *, streaming: bool = True) -> Answer:
    ask = Ask("cohere", "m", chat_pb2.ChatInput(), stream=exchange.streamed)
    decode = WIRE.decode_chat
    return read(
        lambda answer: decode(ask, answer, exchange.content_type), cut(exchange.body, seed), streaming=streaming
    )


def told(exchange: Exchange) -> dict[str, Any]:
    """Text, thoughts, plan, calls, citations, end: as the JSON says them."""
    if not exchange.streamed:
        reply = exchange.answer()
        return _facts(reply["message"], reply)
    message: dict[str, Any] = {"content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    events = list(exchange.events())
    for event in events:
        _grow(message, event["type"], event.get("index", 0), event.get("delta", {}).get("message", {}))
    return _facts(message, events[-1]["delta"])


def _grow(message: dict[str, Any], kind: str, index: int, said: dict[str, Any]) -> None:
    match kind:
        case "content-start":
            message["content"].append(dict(said["content"]))
        case "content-delta":
            for key, words in said["content"].items():
                message["content"][index][key] += words
        case "tool-plan-delta":
            message["tool_plan"] += said["tool_plan"]
        case "tool-call-start":
            message["tool_calls"].append(said["tool_calls"])
        case "tool-call-delta":
            message["tool_calls"][index]["function"]["arguments"] += said["tool_calls"]["function"]["arguments"]
        case "citation-start":
            message["citations"].append(said["citations"])
        case _:
            pass  # begins or ends


def _facts(message: dict[str, Any], end: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content") or []
    calls = [call["function"] for call in message.get("tool_calls") or []]
    billed = end["usage"]["billed_units"]
    return {
        "text": "".join(block.get("text", "") for block in content),
        "thoughts": "".join(block.get("thinking", "") for block in content),
        "plan": message.get("tool_plan") or "",
        "calls": [(call["name"], call["arguments"] or "{}") for call in calls],
        "citations": message.get("citations") or [],
        "finish": end["finish_reason"],
        "usage": (billed["input_tokens"], billed["output_tokens"]),
    }


def read_off(answer: Answer) -> dict[str, Any]:
    (candidate,) = answer.candidates()
    parts = candidate.message.parts
    thoughts = [part for part in parts if part.HasField("reasoning")]
    calls = [part.tool_call for part in parts if part.HasField("tool_call")]
    assert answer.usage
    return {
        "text": "".join(part.text.text for part in parts),
        "thoughts": "".join(part.reasoning.text for part in thoughts if not part.provider_state.data),
        "plan": "".join(part.reasoning.text for part in thoughts if part.provider_state.data),
        "calls": [(call.name, call.arguments_json) for call in calls],
        "citations": [json.loads(each.provider_json) for part in parts for each in part.text.citations],
        "finish": candidate.provider_finish_reason,
        "usage": (answer.usage.input_tokens, answer.usage.output_tokens),
    }


@answers
@pytest.mark.parametrize("seed", range(4))
def test_answers(exchange: Exchange, seed: int) -> None:
    answer = answer_of(exchange, seed)
    assert read_off(answer) == told(exchange)
    assert answer.candidates()[0].finish_reason == REASONS[told(exchange)["finish"]]
    assert answer_of(exchange, seed, streaming=False).candidates() == answer.candidates()


@answers
def test_citations_stand_where_the_words_are(exchange: Exchange) -> None:
    for part in answer_of(exchange, 0).candidates()[0].message.parts:
        for citation in part.text.citations:
            cited = part.text.text[citation.start_index : citation.end_index]
            assert cited == json.loads(citation.provider_json)["text"]
            assert citation.cited_text


@errors
def test_errors(exchange: Exchange) -> None:
    if exchange.good:
        with pytest.raises(UpstreamFailure) as failed:
            answer_of(exchange, 0)
        failure = failed.value
    else:
        failure = WIRE.failure(exchange.status, exchange.headers, exchange.body)
    assert failure.kind is FAILURES[exchange.name.removesuffix(".json")]


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
    for ours, theirs in (("temperature", "temperature"), ("seed", "seed"), ("top_p", "p"), ("top_k", "k")):
        if theirs in rest:
            setattr(question.sampling, ours, rest.pop(theirs))
    question.sampling.stop_sequences.extend(rest.pop("stop_sequences", []))
    question.tools.extend(_tool(tool["function"]) for tool in rest.pop("tools", []))
    return Ask(
        "cohere",
        rest.pop("model"),
        question,
        stream=rest.pop("stream", False),
        max_output_tokens=rest.pop("max_tokens", None),
        options=rest,
    )


def _tool(function: dict[str, Any]) -> content_pb2.Tool:
    parameters = json.dumps(function["parameters"])
    wanted = content_pb2.FunctionTool(
        name=function["name"], description=function["description"], parameters_json_schema=parameters
    )
    return content_pb2.Tool(function=wanted)


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content") or []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _message(message: dict[str, Any]) -> content_pb2.Message:
    parts = [_part(block) for block in _blocks(message)]
    if message["role"] == "tool":
        result = content_pb2.ToolResultPart(call_id=message["tool_call_id"], parts=parts)
        parts = [content_pb2.Part(tool_result=result)]
    for call in message.get("tool_calls", []):
        function = call["function"]
        made = content_pb2.ToolCallPart(call_id=call["id"], name=function["name"], arguments_json=function["arguments"])
        parts.append(content_pb2.Part(tool_call=made))
    return content_pb2.Message(role=ROLES[message["role"]], parts=parts)


def _part(block: dict[str, Any]) -> content_pb2.Part:
    if block["type"] == "text":
        return content_pb2.Part(text=content_pb2.TextPart(text=block["text"]))
    opaque = content_pb2.OpaquePart(provider="cohere", type=block["type"], json=json.dumps(block))
    return content_pb2.Part(opaque=opaque)


def plain(sent: dict[str, Any]) -> dict[str, Any]:
    """One spelling for what means the same."""
    messages = [
        {**message, "content": [block for block in _blocks(message) if block.get("text") != ""]}
        for message in sent["messages"]
    ]
    return {"stream": False, **sent, "messages": messages}


@every
def test_requests(exchange: Exchange) -> None:
    sent = exchange.question()
    ask = ask_of(sent)
    assert plain(json.loads(WIRE.encode_chat(ask).body)) == plain(sent)
    assert ask.warnings == []


def test_documents_are_ours_to_say() -> None:
    for parameter in exchanges("cohere__v2-chat__stream__9a60d886"):
        (exchange,) = parameter.values
        if exchange is None:
            pytest.skip("no recorded exchanges")
        sent = exchange.question()
        ask = ask_of({key: value for key, value in sent.items() if key != "documents"})
        for document in sent["documents"]:
            about = content_pb2.DocumentPart(title=document["data"]["title"], text=document["data"]["text"])
            ask.input.messages[0].parts.add().document.CopyFrom(about)
        spelled = json.loads(WIRE.encode_chat(ask).body)
        assert [each["data"] for each in spelled["documents"]] == [each["data"] for each in sent["documents"]]
