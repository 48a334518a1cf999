"""The Messages dialect against recorded exchanges: answers cut anywhere, and questions spelled back."""

from __future__ import annotations

import base64
import json
from typing import Any, TypeVar

import pytest

from tests.wire.recorded import Exchange, cut, exchanges, read
from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind
from trunkline_server.wire.anthropic import Anthropic
from trunkline_server.wire.anthropic.decode import FINISH_REASONS

WIRE = Anthropic()
FAILURES = {
    "authentication_error": FailureKind.AUTH,
    "not_found_error": FailureKind.MODEL_UNKNOWN,
    "invalid_request_error": FailureKind.INVALID,
}


def ask(**question: Any) -> Ask:
    return Ask(provider="anthropic", model="claude", input=chat_pb2.ChatInput(**question), stream=True)


def told(exchange: Exchange) -> dict[str, Any]:
    """The whole message, put together from the recorded body without the wire."""
    if not exchange.streamed:
        answer: dict[str, Any] = exchange.answer()
        return answer
    message: dict[str, Any] = {"content": []}
    for event in exchange.events():
        match event["type"]:
            case "message_start":
                message.update(event["message"])
            case "content_block_start":
                message["content"].append({**event["content_block"], "fragments": ""})
            case "content_block_delta":
                grow(message["content"][event["index"]], event["delta"])
            case "message_delta":
                message.update(event["delta"], usage={**message["usage"], **event["usage"]})
            case _:
                pass
    for block in message["content"]:
        del block["fragments"]
    return message


def grow(block: dict[str, Any], delta: dict[str, Any]) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "citations_delta":
            block.setdefault("citations", []).append(delta["citation"])
        case "input_json_delta":
            block["fragments"] += delta["partial_json"]
            if delta["partial_json"]:
                block["input"] = block["fragments"]
        case _:
            raise AssertionError(delta["type"])


@pytest.mark.parametrize("exchange", exchanges("anthropic__messages__", lambda each: each.good))
@pytest.mark.parametrize("seed", range(4))
def test_reads_what_was_said(exchange: Exchange, seed: int) -> None:
    answer = read(
        lambda answer: WIRE.decode_chat(ask(), answer, exchange.content_type),
        cut(exchange.body, seed),
        streaming=bool(seed % 2),
    )
    message = told(exchange)
    (candidate,) = answer.candidates()
    assert answer.response_id == message["id"]
    assert answer.model == message["model"]
    assert candidate.provider_finish_reason == message["stop_reason"]
    assert candidate.finish_reason == FINISH_REASONS[message["stop_reason"]]
    assert candidate.stop_sequence == (message["stop_sequence"] or "")
    blocks = [block for block in message["content"] if block["type"] != "text" or block["text"]]
    assert len(candidate.message.parts) == len(blocks)
    for part, block in zip(candidate.message.parts, blocks, strict=True):
        check_part(part, block)
    check_usage(answer, message["usage"])


def check_part(part: content_pb2.Part, block: dict[str, Any]) -> None:
    match block["type"]:
        case "text":
            assert part.text.text == block["text"]
            assert [json.loads(each.provider_json) for each in part.text.citations] == (block.get("citations") or [])
        case "thinking":
            assert part.reasoning.text == block["thinking"]
            assert part.provider_state.data.decode() == block["signature"]
        case "redacted_thinking":
            assert part.reasoning.redacted
            assert part.provider_state.data.decode() == block["data"]
        case "tool_use" | "server_tool_use":
            assert (part.tool_call.call_id, part.tool_call.name) == (block["id"], block["name"])
            arguments = block["input"] if isinstance(block["input"], dict) else json.loads(block["input"])
            assert json.loads(part.tool_call.arguments_json) == arguments
            own = block["type"] == "tool_use"
            assert (part.tool_call.executor == content_pb2.TOOL_EXECUTOR_CALLER) is own
            assert part.tool_call.state == content_pb2.TOOL_CALL_STATE_READY
        case other:
            assert part.opaque.type == other
            assert json.loads(part.opaque.json) == block


def check_usage(answer: Answer, usage: dict[str, Any]) -> None:
    cached, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
    counts = answer.usage
    assert counts is not None
    assert counts.input_tokens == usage["input_tokens"] + cached + written
    assert (counts.cached_input_tokens, counts.cache_write_input_tokens) == (cached, written)
    assert counts.output_tokens == usage["output_tokens"]
    assert counts.reasoning_output_tokens == usage.get("output_tokens_details", {}).get("thinking_tokens", 0)
    searches = (usage.get("server_tool_use") or {}).get("web_search_requests", 0)
    assert counts.unit_counts.get("searches", 0) == searches


@pytest.mark.parametrize("exchange", exchanges("anthropic__", lambda each: not each.good))
def test_classifies_errors(exchange: Exchange) -> None:
    failure = WIRE.failure(exchange.status, exchange.headers, exchange.body)
    assert failure.kind == FAILURES[exchange.answer()["error"]["type"]]
    assert failure.code == exchange.answer()["error"]["type"]
    assert failure.http_status == exchange.status
    assert failure.retries_max == 0


@pytest.mark.parametrize("exchange", exchanges("anthropic__models"))
def test_lists_models(exchange: Exchange) -> None:
    assert [each.name for each in WIRE.decode_models(exchange.body)] == [
        model["id"] for model in exchange.answer()["data"]
    ]


@pytest.mark.parametrize("exchange", exchanges("anthropic__messages-count-tokens"))
def test_counts(exchange: Exchange) -> None:
    assert WIRE.decode_count(exchange.body) == exchange.answer()["input_tokens"]
    request = WIRE.encode_count(question(exchange.question()))
    assert request is not None
    assert meaning(json.loads(request.body)) == meaning(exchange.question())


@pytest.mark.parametrize("exchange", exchanges("anthropic__messages__"))
def test_spells_the_question_back(exchange: Exchange) -> None:
    recorded = exchange.question()
    asked = question(recorded)
    request = WIRE.encode_chat(asked)
    assert meaning(json.loads(request.body)) == meaning(recorded)
    assert not asked.warnings
    assert request.path == "/v1/messages"
    assert request.headers["anthropic-version"] == "2023-06-01"


# A recorded request as our question.

OPTIONS = ("context_management", "thinking", "output_config", "service_tier")


def question(body: dict[str, Any]) -> Ask:
    """What a caller would have to ask us to get this request; what we have no field for goes in as options."""
    instructions = blocks_of(body["system"]) if body.get("system") else []
    messages = [content_pb2.Message(role=content_pb2.ROLE_SYSTEM, parts=[part_of(block)]) for block in instructions] + [
        message_of(message) for message in body["messages"]
    ]
    asked = ask(messages=messages, tools=[tool_of(tool) for tool in body.get("tools", [])])
    asked.model, asked.stream, asked.max_output_tokens = (
        body["model"],
        body.get("stream", False),
        body.get("max_tokens"),
    )
    for field in ("temperature", "top_p", "top_k"):
        if field in body and not (field == "temperature" and "thinking" in body):
            setattr(asked.input.sampling, field, body[field])
    asked.input.sampling.stop_sequences.extend(body.get("stop_sequences", []))
    if "tool_choice" in body:
        choose(asked.input, body["tool_choice"])
    think(asked, body.get("thinking", {}))
    asked.options = {name: body[name] for name in OPTIONS if name in body and name != "thinking"}
    if "temperature" in body and "thinking" in body:
        asked.options["temperature"] = body["temperature"]
    return asked


def think(asked: Ask, thinking: dict[str, Any]) -> None:
    if "budget_tokens" in thinking:
        asked.input.reasoning.budget_tokens = thinking["budget_tokens"]
    if "display" in thinking:
        asked.input.reasoning.include_text = thinking["display"] == "summarized"


def choose(asked: chat_pb2.ChatInput, choice: dict[str, Any]) -> None:
    modes = {"auto": content_pb2.TOOL_CHOICE_MODE_AUTO, "any": content_pb2.TOOL_CHOICE_MODE_REQUIRED}
    if choice["type"] == "tool":
        asked.tool_choice.tool_name = choice["name"]
    else:
        asked.tool_choice.mode = modes[choice["type"]]
    if "disable_parallel_tool_use" in choice:
        asked.parallel_tool_calls = not choice["disable_parallel_tool_use"]


def tool_of(tool: dict[str, Any]) -> content_pb2.Tool:
    if "input_schema" not in tool:
        config = {name: value for name, value in tool.items() if name != "type"}
        hosted = content_pb2.HostedTool(provider="anthropic", type=tool["type"], config_json=json.dumps(config))
        return content_pb2.Tool(hosted=hosted)
    function = content_pb2.FunctionTool(
        name=tool["name"],
        description=tool.get("description", ""),
        parameters_json_schema=json.dumps(tool["input_schema"]),
        strict=tool.get("strict"),
    )
    return hint(content_pb2.Tool(function=function), tool)


def message_of(message: dict[str, Any]) -> content_pb2.Message:
    role = content_pb2.ROLE_ASSISTANT if message["role"] == "assistant" else content_pb2.ROLE_USER
    return content_pb2.Message(role=role, parts=[part_of(block) for block in blocks_of(message["content"])])


def blocks_of(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def part_of(block: dict[str, Any]) -> content_pb2.Part:
    part = content_pb2.Part()
    match block["type"]:
        case "text":
            part.text.text = block["text"]
        case "image":
            part.image.blob.CopyFrom(blob_of(block["source"]))
        case "document" if "citations" not in block and block["source"]["type"] != "text":
            part.document.blob.CopyFrom(blob_of(block["source"]))
        case "tool_use" | "server_tool_use":
            part.tool_call.call_id, part.tool_call.name = block["id"], block["name"]
            part.tool_call.arguments_json = json.dumps(block["input"])
            own = block["type"] == "tool_use"
            part.tool_call.executor = content_pb2.TOOL_EXECUTOR_CALLER if own else content_pb2.TOOL_EXECUTOR_PROVIDER
        case "tool_result":
            part.tool_result.call_id = block["tool_use_id"]
            part.tool_result.parts.extend(part_of(each) for each in blocks_of(block["content"]))
            part.tool_result.is_error = block.get("is_error", False)
        case "thinking":
            part.reasoning.text = block["thinking"]
            part.provider_state.provider, part.provider_state.data = "anthropic", block["signature"].encode()
        case "redacted_thinking":
            part.reasoning.redacted = True
            part.provider_state.provider, part.provider_state.data = "anthropic", block["data"].encode()
        case other:
            part.opaque.provider, part.opaque.type = "anthropic", other
            part.opaque.json = json.dumps({name: value for name, value in block.items() if name != "cache_control"})
    return hint(part, block)


def blob_of(source: dict[str, Any]) -> content_pb2.Blob:
    match source["type"]:
        case "base64":
            return content_pb2.Blob(data=base64.b64decode(source["data"]), media_type=source["media_type"])
        case "url":
            return content_pb2.Blob(uri=source["url"])
        case _:
            return content_pb2.Blob(file_id=source["file_id"])


Hinted = TypeVar("Hinted", content_pb2.Part, content_pb2.Tool)


def hint(hinted: Hinted, block: dict[str, Any]) -> Hinted:
    if "cache_control" in block:
        hinted.cache_hint.ttl_seconds = {"5m": 300, "1h": 3600}.get(block["cache_control"].get("ttl", ""), 0)
    return hinted


def meaning(body: dict[str, Any]) -> dict[str, Any]:
    """A request without the differences that mean nothing: text or list, and defaults that are told or not."""
    said = {name: value for name, value in body.items() if value not in (False, [], None)}
    if "system" in said:
        said["system"] = blocks_of(said["system"])
    said["messages"] = [
        {**each, "content": [plain(b) for b in blocks_of(each["content"])]} for each in body["messages"]
    ]
    said["tools"] = [tool_said(tool) for tool in body.get("tools", [])]
    said["tool_choice"] = {name: value for name, value in body.get("tool_choice", {}).items() if value is not False}
    return said


def tool_said(tool: dict[str, Any]) -> dict[str, Any]:
    """How eagerly arguments are streamed is the caller's taste, and has no field of ours."""
    return {name: value for name, value in tool.items() if value != "" and name != "eager_input_streaming"}


def plain(block: dict[str, Any]) -> dict[str, Any]:
    if block["type"] != "tool_result":
        return block
    said = {name: value for name, value in block.items() if value is not False}
    return {**said, "content": [plain(each) for each in blocks_of(block["content"])]}
