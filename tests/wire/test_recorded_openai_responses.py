"""Exchanges that others recorded, read by this dialect and by a second, naive reader: they must agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.recorded import Exchange, cut, exchanges, read
from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.openai_responses import OpenAIResponses

PREFIXES = ("openai__responses__", "xai__responses__", "openrouter__responses__")
EXCHANGES = [parameter for prefix in PREFIXES for parameter in exchanges(prefix)]
WIRE = OpenAIResponses()
FAILURES = {
    "openai__responses__error__b95224d4-b": FailureKind.AUTH,
    "openai__responses__error__c2e7c2ba": FailureKind.INVALID,
    "xai__responses__error__bd310538": FailureKind.AUTH,
}
NAMES = {"web_search_call": "web_search", "file_search_call": "file_search"}


def is_error(parameter: Any) -> bool:
    (exchange,) = parameter.values
    return exchange is not None and "__error__" in parameter.id


answers = pytest.mark.parametrize("exchange", [each for each in EXCHANGES if not is_error(each)])
errors = pytest.mark.parametrize("exchange", [each for each in EXCHANGES if is_error(each)])


def answer_of(exchange: Exchange, seed: int, *, streaming: bool = True) -> Answer:
    ask = Ask("p", "m", chat_pb2.ChatInput(), stream=exchange.streamed)
    kind = "text/event-stream" if exchange.streamed else "application/json"
    return read(lambda answer: WIRE.decode_chat(ask, answer, kind), cut(exchange.body, seed), streaming=streaming)


def response_of(exchange: Exchange) -> dict[str, Any]:
    """The whole answer: the body, or what the last event of a stream says."""
    whole: dict[str, Any] = list(exchange.events())[-1]["response"] if exchange.streamed else exchange.answer()
    return whole


def items(exchange: Exchange, *kinds: str) -> Iterator[dict[str, Any]]:
    return (item for item in response_of(exchange)["output"] if item["type"] in kinds)


def texts(exchange: Exchange, kind: str) -> str:
    blocks = [block for item in items(exchange, "message") for block in item["content"]]
    return "".join(block.get(kind, "") for block in blocks)


def arguments(exchange: Exchange) -> list[str]:
    """Of a stream: its fragments, because a recorder may have changed what the last event repeats."""
    if not exchange.streamed:
        return [item["arguments"] for item in items(exchange, "function_call")]
    grown: dict[str, str] = {}
    for event in exchange.events():
        if event["type"] == "response.function_call_arguments.delta":
            grown[event["item_id"]] = grown.get(event["item_id"], "") + event["delta"]
    return list(grown.values())


def ciphers(exchange: Exchange) -> list[str]:
    """Of a stream: as each item ends, because the last event enciphers the same thoughts anew."""
    done = (
        [event["item"] for event in exchange.events() if event["type"] == "response.output_item.done"]
        if exchange.streamed
        else []
    )
    thoughts = [item for item in done if item["type"] == "reasoning"] or items(exchange, "reasoning")
    return [item["encrypted_content"] for item in thoughts if item.get("encrypted_content")]


def told(answer: Answer, kind: str) -> str:
    return "".join(getattr(part, kind).text for part in parts(answer) if part.WhichOneof("kind") == kind)


def parts(answer: Answer) -> list[content_pb2.Part]:
    (candidate,) = answer.candidates()
    return list(candidate.message.parts)


@answers
@pytest.mark.parametrize("seed", range(4))
def test_answers(exchange: Exchange, seed: int) -> None:
    answer = answer_of(exchange, seed)
    assert told(answer, "text") == texts(exchange, "text")
    assert told(answer, "refusal") == texts(exchange, "refusal")
    assert answer_of(exchange, seed, streaming=False).candidates() == answer.candidates()
    whole = response_of(exchange)
    assert (answer.response_id, answer.model) == (whole["id"], whole["model"])


@answers
def test_calls(exchange: Exchange) -> None:
    made = [part.tool_call for part in parts(answer_of(exchange, 0)) if part.HasField("tool_call")]
    own = [call for call in made if call.executor == content_pb2.TOOL_EXECUTOR_CALLER]
    assert [(call.call_id, call.name) for call in own] == [
        (item["call_id"], item["name"]) for item in items(exchange, "function_call")
    ]
    assert [call.arguments_json for call in own] == arguments(exchange)
    hosted = [call for call in made if call.executor == content_pb2.TOOL_EXECUTOR_PROVIDER]
    assert [(call.call_id, call.name) for call in hosted] == [
        (item["id"], item.get("name") or NAMES[item["type"]]) for item in items(exchange, *NAMES, "mcp_call")
    ]
    assert all(call.state == content_pb2.TOOL_CALL_STATE_READY for call in made)


@answers
def test_thoughts(exchange: Exchange) -> None:
    thoughts = [part for part in parts(answer_of(exchange, 0)) if part.HasField("reasoning")]
    said = [
        "\n\n".join(block["text"] for block in (*item["summary"], *item.get("content", [])))
        for item in items(exchange, "reasoning")
        if item["summary"] or item.get("content") or item.get("encrypted_content")
    ]
    assert [part.reasoning.text for part in thoughts] == said
    kept = [json.loads(part.provider_state.data or b"{}").get("encrypted_content") for part in thoughts]
    assert [cipher for cipher in kept if cipher] == ciphers(exchange)


@answers
def test_citations(exchange: Exchange) -> None:
    noted = [
        annotation
        for item in items(exchange, "message")
        for block in item["content"]
        for annotation in block.get("annotations", [])
    ]
    citations = [citation for part in parts(answer_of(exchange, 0)) for citation in part.text.citations]
    assert [json.loads(citation.provider_json) for citation in citations] == noted
    assert [citation.uri for citation in citations] == [annotation.get("url", "") for annotation in noted]


@answers
def test_finish_reasons(exchange: Exchange) -> None:
    (candidate,) = answer_of(exchange, 0).candidates()
    whole = response_of(exchange)
    if whole["status"] == "incomplete":
        expected = chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS
    elif any(items(exchange, "function_call")):
        expected = chat_pb2.FINISH_REASON_TOOL_CALLS
    else:
        expected = chat_pb2.FINISH_REASON_REFUSAL if texts(exchange, "refusal") else chat_pb2.FINISH_REASON_STOP
    assert candidate.finish_reason == expected


@answers
def test_usage(exchange: Exchange) -> None:
    usage = answer_of(exchange, 0).usage
    assert usage is not None
    told = response_of(exchange)["usage"]
    given, made = told["input_tokens_details"], told["output_tokens_details"]
    assert (usage.input_tokens, usage.output_tokens) == (told["input_tokens"], told["output_tokens"])
    assert usage.cached_input_tokens == given["cached_tokens"]
    assert usage.cache_write_input_tokens == given.get("cache_write_tokens", 0)
    assert usage.reasoning_output_tokens == made["reasoning_tokens"]
    assert usage.unit_counts.get("searches", 0) == sum(1 for _ in items(exchange, "web_search_call"))
    assert usage.unit_counts.get("storage_searches", 0) == sum(1 for _ in items(exchange, "file_search_call"))


@errors
def test_errors(exchange: Exchange) -> None:
    failure = WIRE.failure(exchange.status, exchange.headers, exchange.body)
    assert (failure.kind, failure.http_status) == (FAILURES[exchange.name.removesuffix(".json")], exchange.status)


@answers
def test_a_stream_that_is_cut_anywhere_is_no_answer(exchange: Exchange) -> None:
    if not exchange.streamed:
        return
    whole = exchange.body.rstrip().removesuffix(b"data: [DONE]").rstrip()
    for end in range(0, len(whole), 997):
        with pytest.raises(UpstreamFailure) as failed:
            read(
                lambda answer: WIRE.decode_chat(
                    Ask("p", "m", chat_pb2.ChatInput(), stream=True), answer, "text/event-stream"
                ),
                [whole[:end]],
            )
        assert failed.value.kind in (FailureKind.BROKEN, FailureKind.INTERRUPTED)


ROLES = {
    "system": content_pb2.ROLE_SYSTEM,
    "developer": content_pb2.ROLE_DEVELOPER,
    "user": content_pb2.ROLE_USER,
    "assistant": content_pb2.ROLE_ASSISTANT,
}
EFFORTS = {
    "": chat_pb2.REASONING_EFFORT_UNSPECIFIED,
    "none": chat_pb2.REASONING_EFFORT_NONE,
    "minimal": chat_pb2.REASONING_EFFORT_MINIMAL,
    "low": chat_pb2.REASONING_EFFORT_LOW,
    "high": chat_pb2.REASONING_EFFORT_HIGH,
}
FORGOTTEN = ("id", "status")
"""What items said of themselves in an answer, and need not say again."""


def ask_of(sent: dict[str, Any]) -> Ask:
    rest = dict(sent)
    asked = rest.pop("input")
    question = chat_pb2.ChatInput(messages=[_message(each) for each in _items(asked, rest.pop("instructions", ""))])
    if "temperature" in rest:
        question.sampling.temperature = rest.pop("temperature")
    question.tools.extend(_tool(tool) for tool in rest.pop("tools", []))
    if rest.pop("tool_choice", "") == "auto":
        question.tool_choice.mode = content_pb2.TOOL_CHOICE_MODE_AUTO
    thoughts = rest.pop("reasoning", {})
    question.reasoning.effort = EFFORTS[thoughts.pop("effort", "")]
    if "summary" in thoughts:
        question.reasoning.include_text = True
    _format(question, rest)
    return Ask(
        "p",
        rest.pop("model"),
        question,
        stream=rest.pop("stream", False),
        max_output_tokens=rest.pop("max_output_tokens", None),
        options=rest,
    )


def _items(asked: Any, instructions: str) -> list[Any]:
    said = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    return [{"role": "system", "content": instructions}, *said] if instructions else said


def _format(question: chat_pb2.ChatInput, rest: dict[str, Any]) -> None:
    wanted = rest.pop("text", {}).get("format", {})
    if wanted.get("type") == "json_object":
        question.output_format.json_object.SetInParent()
    elif wanted:
        schema = question.output_format.json_schema
        schema.name, schema.strict, schema.json_schema = wanted["name"], wanted["strict"], json.dumps(wanted["schema"])


def _tool(tool: dict[str, Any]) -> content_pb2.Tool:
    if tool["type"] != "function":
        config = {key: value for key, value in tool.items() if key != "type"}
        hosted = content_pb2.HostedTool(provider="p", type=tool["type"], config_json=json.dumps(config))
        return content_pb2.Tool(hosted=hosted)
    function = content_pb2.FunctionTool(
        name=tool["name"],
        description=tool["description"],
        parameters_json_schema=json.dumps(tool["parameters"]),
        strict=tool.get("strict"),
    )
    return content_pb2.Tool(function=function)


def _message(item: dict[str, Any]) -> content_pb2.Message:
    match item.get("type", "message"):
        case "message":
            content = item["content"]
            blocks = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
            return content_pb2.Message(role=ROLES[item["role"]], parts=[_part(block) for block in blocks])
        case "reasoning":
            state = content_pb2.ProviderState(provider="p", data=json.dumps(item).encode())
            thoughts = content_pb2.Part(reasoning=content_pb2.ReasoningPart(), provider_state=state)
            return content_pb2.Message(role=content_pb2.ROLE_ASSISTANT, parts=[thoughts])
        case "function_call":
            call = content_pb2.ToolCallPart(
                call_id=item["call_id"], name=item["name"], arguments_json=item["arguments"]
            )
            return content_pb2.Message(role=content_pb2.ROLE_ASSISTANT, parts=[content_pb2.Part(tool_call=call)])
        case _:
            output = item["output"]
            blocks = [{"type": "input_text", "text": output}] if isinstance(output, str) else output
            result = content_pb2.ToolResultPart(call_id=item["call_id"], parts=[_part(block) for block in blocks])
            return content_pb2.Message(role=content_pb2.ROLE_TOOL, parts=[content_pb2.Part(tool_result=result)])


def _part(block: dict[str, Any]) -> content_pb2.Part:
    match block["type"]:
        case "input_image":
            return content_pb2.Part(image=content_pb2.ImagePart(blob=content_pb2.Blob(uri=block["image_url"])))
        case "input_file":
            document = content_pb2.DocumentPart(blob=content_pb2.Blob(uri=block["file_url"]))
            return content_pb2.Part(document=document)
        case _:
            return content_pb2.Part(text=content_pb2.TextPart(text=block["text"]))


def plain(sent: dict[str, Any]) -> dict[str, Any]:
    """One spelling for what means the same."""
    normal = {
        key: value for key, value in sent.items() if value not in (None, False) and key not in ("store", "include")
    }
    normal["input"] = [_plain_item(item) for item in _items(normal["input"], normal.pop("instructions", ""))]
    if "reasoning" in normal:
        shown = {"summary": "auto"} if "summary" in normal["reasoning"] else {}
        normal["reasoning"] = {**normal["reasoning"], **shown}
    if "tools" in normal:
        normal["tools"] = [{key: value for key, value in tool.items() if value} for tool in normal["tools"]]
    return normal


def _plain_item(item: dict[str, Any]) -> dict[str, Any]:
    normal = {key: value for key, value in item.items() if key not in FORGOTTEN}
    if normal.get("type", "message") == "message":
        normal["type"] = "message"
    for field in {"content", "output"} & normal.keys():
        if isinstance(normal[field], str):
            kind = "output_text" if normal.get("role") == "assistant" else "input_text"
            normal[field] = [{"type": kind, "text": normal[field]}]
    return normal


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_requests(exchange: Exchange) -> None:
    sent = exchange.question()
    ask = ask_of(json.loads(exchange.request))
    spelled = json.loads(WIRE.encode_chat(ask).body)
    assert plain(spelled) == plain(sent)
    assert spelled["store"] == sent.get("store", False)
    assert set(spelled.get("include", [])) >= set(sent.get("include", []))
    assert ask.warnings == []
