"""Exchanges that others recorded, read by this dialect and by a second, naive reader: they must agree."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.recorded import Exchange, cut, exchanges, read
from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.openai_chat import OpenAIChat

PREFIXES = (
    "openai__chat-completions__",
    "azure__deployments-chat-completions__",
    "azure__models-chat-completions__",
    "groq__chat-completions__",
    "mistral__chat-completions__",
    "xai__chat-completions__",
    "openrouter__chat-completions__",
    "huggingface__chat-completions",
    "ollama__v1-chat-completions__",
)
EXCHANGES = [parameter for prefix in PREFIXES for parameter in exchanges(prefix)]
FAILURES = {
    "azure__deployments-chat-completions__error__70ef160e": (FailureKind.MODEL_UNKNOWN, None),
    "azure__models-chat-completions__error__97bc5559": (FailureKind.THROTTLED, 1.0),
    "groq__chat-completions__error__2c94bf7d": (FailureKind.BROKEN, None),
    "groq__chat-completions__error__5af2396a-a": (FailureKind.BROKEN, None),
    "groq__chat-completions__error__875450df-a": (FailureKind.BROKEN, None),
    "groq__chat-completions__error__ceaf9fff": (FailureKind.MODEL_UNKNOWN, None),
    "huggingface__chat-completions__error__9b64c4ed-b": (FailureKind.INVALID, None),
    "huggingface__chat-completions__error__f636b208": (FailureKind.AUTH, None),
    "mistral__chat-completions__error__1b55808b": (FailureKind.MODEL_UNKNOWN, None),
    "mistral__chat-completions__error__3a6251ec": (FailureKind.AUTH, None),
    "mistral__chat-completions__error__fbb42704": (FailureKind.INVALID, None),
    "ollama__v1-chat-completions__error__93e4d630": (FailureKind.CONTEXT_TOO_LONG, None),
    "openai__chat-completions__error__2f951ba4": (FailureKind.MODEL_UNKNOWN, None),
    "openai__chat-completions__error__d7c6019f": (FailureKind.INVALID, None),
    "openai__chat-completions__error__e8933bfc-a": (FailureKind.INVALID, None),
    "openrouter__chat-completions__error__521cc16a": (FailureKind.THROTTLED, None),
    "openrouter__chat-completions__error__883e5ff1-a": (FailureKind.INVALID, None),
    "openrouter__chat-completions__error__a085dc6a": (FailureKind.AUTH, None),
    "openrouter__chat-completions__error__b088ef44": (FailureKind.THROTTLED, None),
}
REASONS = {
    "stop": chat_pb2.FINISH_REASON_STOP,
    "eos_token": chat_pb2.FINISH_REASON_STOP,
    "length": chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS,
    "tool_calls": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "function_call": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "content_filter": chat_pb2.FINISH_REASON_CONTENT_FILTER,
}


def is_error(parameter: Any) -> bool:
    (exchange,) = parameter.values
    return exchange is not None and "__error__" in parameter.id


answers = pytest.mark.parametrize("exchange", [each for each in EXCHANGES if not is_error(each)])
errors = pytest.mark.parametrize("exchange", [each for each in EXCHANGES if is_error(each)])


def wire_for(exchange: Exchange) -> OpenAIChat:
    sent = question_of(exchange)
    thoughts = ("reasoning_content", "reasoning")
    said = {field for message in sent["messages"] for field in message}
    return OpenAIChat(
        max_tokens_field="max_tokens" if "max_tokens" in sent else "max_completion_tokens",
        sends_stream_options="stream_options" in sent,
        thoughts_field=next((field for field in thoughts if field in said), ""),
        thought_blocks_field="reasoning_details" if "reasoning_details" in said else "",
        counts_thoughts_apart=exchange.name.startswith("xai"),
        required_tool_choice="any" if sent.get("tool_choice") == "any" else "required",
    )


def question_of(exchange: Exchange) -> dict[str, Any]:
    question: dict[str, Any] = exchange.question()
    return question if isinstance(question.get("messages"), list) else {"model": "m", "messages": []}


def answer_of(exchange: Exchange, seed: int, *, streaming: bool = True) -> Answer:
    wanted = question_of(exchange).get("n")
    question = chat_pb2.ChatInput(sampling=chat_pb2.Sampling(candidate_count=wanted))
    ask = Ask("p", "m", question, stream=exchange.streamed)
    kind = "text/event-stream" if exchange.streamed else "application/json"
    wire = wire_for(exchange)
    return read(lambda answer: wire.decode_chat(ask, answer, kind), cut(exchange.body, seed), streaming=streaming)


def replies(exchange: Exchange) -> list[Any]:
    return list(exchange.events()) if exchange.streamed else [exchange.answer()]


def said(exchange: Exchange) -> Iterator[tuple[int, dict[str, Any]]]:
    for reply in replies(exchange):
        for choice in reply.get("choices") or []:
            yield choice.get("index", 0), choice.get("delta") or choice.get("message") or {}


def texts(exchange: Exchange, kind: str) -> dict[int, str]:
    grown: dict[int, str] = {}
    for index, message in said(exchange):
        grown[index] = grown.get(index, "") + _text(message, kind)
    return {index: text for index, text in grown.items() if text}


def _content(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content") or []
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _text(message: dict[str, Any], kind: str) -> str:
    blocks = _content(message)
    if kind == "text":
        return "".join(block["text"] for block in blocks if block["type"] == "text")
    thought = "".join(each["text"] for block in blocks for each in block.get("thinking", []))
    return message.get("reasoning_content") or message.get("reasoning") or thought


def calls(exchange: Exchange) -> list[tuple[int, str, str]]:
    grown: dict[tuple[int, object], list[str]] = {}
    for index, message in said(exchange):
        old = [{"index": -1, "function": message["function_call"]}] if "function_call" in message else []
        for call in [*(message.get("tool_calls") or []), *old]:
            function = call.get("function") or call["custom"]
            one = grown.setdefault((index, call.get("index", call.get("id"))), ["", ""])
            one[0] += function.get("name") or ""
            one[1] += function.get("arguments") or function.get("input") or ""
    return [(index, name, arguments or "{}") for (index, _), (name, arguments) in grown.items()]


def told(answer: Answer, kind: str) -> dict[int, str]:
    grown = {
        each.index: "".join(getattr(part, kind).text for part in each.message.parts if part.WhichOneof("kind") == kind)
        for each in answer.candidates()
    }
    return {index: text for index, text in grown.items() if text}


def without_new_ids(answer: Answer, exchange: Exchange) -> list[chat_pb2.Candidate]:
    """Ids that the provider did not give are made, and so different each time."""
    candidates = answer.candidates()
    for part in (part for each in candidates for part in each.message.parts if part.HasField("tool_call")):
        if part.tool_call.call_id.encode() not in exchange.body:
            part.tool_call.call_id = ""
    return candidates


@answers
@pytest.mark.parametrize("seed", range(4))
def test_answers(exchange: Exchange, seed: int) -> None:
    answer = answer_of(exchange, seed)
    assert told(answer, "text") == texts(exchange, "text")
    assert told(answer, "reasoning") == texts(exchange, "reasoning")
    made = [
        (candidate.index, part.tool_call.name, part.tool_call.arguments_json)
        for candidate in answer.candidates()
        for part in candidate.message.parts
        if part.HasField("tool_call")
    ]
    assert made == calls(exchange)
    assert without_new_ids(answer_of(exchange, seed, streaming=False), exchange) == without_new_ids(answer, exchange)


@answers
def test_finish_reasons(exchange: Exchange) -> None:
    reasons = {
        choice.get("index", 0): choice["finish_reason"]
        for reply in replies(exchange)
        for choice in reply.get("choices") or []
        if choice.get("finish_reason")
    }
    candidates = answer_of(exchange, 0).candidates()
    assert {each.index: each.provider_finish_reason for each in candidates} == reasons
    assert [each.finish_reason for each in candidates] == [REASONS[reasons[each.index]] for each in candidates]


@answers
def test_usage(exchange: Exchange) -> None:
    usages: list[Any] = [reply.get("usage") or (reply.get("x_groq") or {}).get("usage") for reply in replies(exchange)]
    usage = answer_of(exchange, 0).usage
    last = next((each for each in reversed(usages) if each), None)
    if last is None or usage is None:
        assert usage is last
        return
    reasoning = (last.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)
    assert usage.input_tokens == last["prompt_tokens"]
    assert usage.output_tokens == last["total_tokens"] - last["prompt_tokens"]
    assert usage.reasoning_output_tokens == reasoning
    assert usage.cached_input_tokens == ((last.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)


@errors
def test_errors(exchange: Exchange) -> None:
    if exchange.status == 200:
        with pytest.raises(UpstreamFailure) as failed:
            answer_of(exchange, 0)
        failure = failed.value
    else:
        failure = OpenAIChat().failure(exchange.status, exchange.headers, exchange.body)
        assert failure.http_status == exchange.status
    assert (failure.kind, failure.retry_after_s) == FAILURES[exchange.name.removesuffix(".json")]


# Requests: what was sent, put into our words and spelled again.

PLAIN = {"temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "top_logprobs"}
ROLES = {
    "system": content_pb2.ROLE_SYSTEM,
    "developer": content_pb2.ROLE_DEVELOPER,
    "user": content_pb2.ROLE_USER,
    "assistant": content_pb2.ROLE_ASSISTANT,
    "tool": content_pb2.ROLE_TOOL,
}
EFFORTS = {
    "": chat_pb2.REASONING_EFFORT_UNSPECIFIED,
    "none": chat_pb2.REASONING_EFFORT_NONE,
    "minimal": chat_pb2.REASONING_EFFORT_MINIMAL,
    "low": chat_pb2.REASONING_EFFORT_LOW,
    "medium": chat_pb2.REASONING_EFFORT_MEDIUM,
    "high": chat_pb2.REASONING_EFFORT_HIGH,
}
CHOICES = {
    "auto": content_pb2.TOOL_CHOICE_MODE_AUTO,
    "none": content_pb2.TOOL_CHOICE_MODE_NONE,
    "required": content_pb2.TOOL_CHOICE_MODE_REQUIRED,
    "any": content_pb2.TOOL_CHOICE_MODE_REQUIRED,
}
FORMATS = {"json_object", "json_schema"}
READ_IN_MESSAGES = {
    "role",
    "content",
    "name",
    "tool_calls",
    "tool_call_id",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
}


def ask_of(sent: dict[str, Any]) -> Ask:
    rest = {field: value for field, value in sent.items() if value is not None}
    question = chat_pb2.ChatInput(messages=[_message(message) for message in rest.pop("messages")])
    for field in PLAIN & rest.keys():
        setattr(question.sampling, field, rest.pop(field))
    if "top_logprobs" in sent:
        rest.pop("logprobs")
    if "n" in rest:
        question.sampling.candidate_count = rest.pop("n")
    stops = rest.pop("stop", [])
    question.sampling.stop_sequences.extend([stops] if isinstance(stops, str) else stops)
    question.reasoning.effort = EFFORTS[rest.pop("reasoning_effort", "")]
    question.tools.extend(_tool(tool) for tool in rest.pop("tools", None) or [])
    _choose(question, rest)
    _format(question, rest)
    return Ask(
        "p",
        rest.pop("model", "m"),
        question,
        stream=bool(rest.pop("stream", False)),
        max_output_tokens=rest.pop("max_tokens", None) or rest.pop("max_completion_tokens", None),
        end_user=rest.pop("user", ""),
        options=rest,
    )


def _choose(question: chat_pb2.ChatInput, rest: dict[str, Any]) -> None:
    if "tool_choice" not in rest or not question.tools:
        return
    choice = rest.pop("tool_choice")
    if isinstance(choice, dict):
        question.tool_choice.tool_name = choice["function"]["name"]
    else:
        question.tool_choice.mode = CHOICES[choice]


def _format(question: chat_pb2.ChatInput, rest: dict[str, Any]) -> None:
    if (rest.get("response_format") or {}).get("type") not in FORMATS:
        return
    wanted = rest.pop("response_format")
    if wanted["type"] == "json_object":
        question.output_format.json_object.SetInParent()
        return
    schema = dict(wanted["json_schema"])
    question.output_format.json_schema.json_schema = json.dumps(schema.pop("schema"))
    for field, value in schema.items():
        setattr(question.output_format.json_schema, field, value)


def _tool(tool: dict[str, Any]) -> content_pb2.Tool:
    if tool["type"] != "function":
        config = {key: value for key, value in tool.items() if key != "type"}
        hosted = content_pb2.HostedTool(provider="p", type=tool["type"], config_json=json.dumps(config))
        return content_pb2.Tool(hosted=hosted)
    function = dict(tool["function"])
    parameters = json.dumps(function.pop("parameters")) if "parameters" in function else ""
    return content_pb2.Tool(function=content_pb2.FunctionTool(parameters_json_schema=parameters, **function))


def _message(message: dict[str, Any]) -> content_pb2.Message:
    if message.keys() - READ_IN_MESSAGES:
        pytest.skip(f"a field of another dialect: {sorted(message.keys() - READ_IN_MESSAGES)}")
    parts = list(_parts(message))
    if message["role"] == "tool":
        result = content_pb2.ToolResultPart(call_id=message["tool_call_id"], parts=parts)
        parts = [content_pb2.Part(tool_result=result)]
    return content_pb2.Message(role=ROLES[message["role"]], parts=parts, name=message.get("name", ""))


def _parts(message: dict[str, Any]) -> Iterator[content_pb2.Part]:
    thoughts = message.get("reasoning_content") or message.get("reasoning") or ""
    if thoughts or "reasoning_details" in message:
        state = content_pb2.ProviderState(provider="p", data=json.dumps(message.get("reasoning_details", [])).encode())
        yield content_pb2.Part(reasoning=content_pb2.ReasoningPart(text=thoughts), provider_state=state)
    for block in _content(message):
        yield _part(block)
    for call in message.get("tool_calls") or []:
        function = call["function"]
        made = content_pb2.ToolCallPart(call_id=call["id"], name=function["name"], arguments_json=function["arguments"])
        yield content_pb2.Part(tool_call=made)


def _part(block: dict[str, Any]) -> content_pb2.Part:
    if block["type"] == "text":
        return content_pb2.Part(text=content_pb2.TextPart(text=block["text"]))
    if block["type"] == "image_url":
        return content_pb2.Part(image=content_pb2.ImagePart(blob=_blob(block["image_url"]["url"])))
    blob = _blob(block["file"]["file_data"])
    blob.filename = block["file"]["filename"]
    return content_pb2.Part(document=content_pb2.DocumentPart(blob=blob))


def _blob(address: str) -> content_pb2.Blob:
    if not address.startswith("data:"):
        return content_pb2.Blob(uri=address)
    media_type, _, data = address.removeprefix("data:").partition(";base64,")
    return content_pb2.Blob(data=base64.b64decode(data), media_type=media_type)


def plain(sent: dict[str, Any]) -> dict[str, Any]:
    """One spelling for what means the same."""
    normal = {key: value for key, value in sent.items() if value not in (None, False) or key == "parallel_tool_calls"}
    normal["messages"] = [_plain_message(message) for message in sent["messages"]]
    if "tools" in normal:
        normal["tools"] = [_plain_tool(tool) for tool in normal["tools"]]
    if isinstance(normal.get("stop"), str):
        normal["stop"] = [normal["stop"]]
    return normal


def _plain_tool(tool: dict[str, Any]) -> dict[str, Any]:
    if "function" not in tool:
        return tool
    function = {key: value for key, value in tool["function"].items() if value not in ("", None)}
    return {**tool, "function": function}


def _plain_message(message: dict[str, Any]) -> dict[str, Any]:
    normal = {key: value for key, value in message.items() if value}
    if "reasoning_content" in normal:
        normal.pop("reasoning", None)  # the same words again
    return {**normal, "content": _content(message)}


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_requests(exchange: Exchange) -> None:
    sent = question_of(exchange)
    ask = ask_of(sent)
    spelled = json.loads(wire_for(exchange).encode_chat(ask).body)
    assert plain(spelled) == plain({"model": "m", **sent})
    assert ask.warnings == []
