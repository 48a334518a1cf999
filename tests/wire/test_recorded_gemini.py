"""The generateContent dialect against recorded exchanges: answers cut anywhere, and questions spelled back."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.wire.recorded import Exchange, cut, exchanges, read
from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind
from trunkline_server.wire.gemini import Gemini

WIRE = Gemini()
EXCHANGES = [*exchanges("gemini__generatecontent__"), *exchanges("gemini__streamgeneratecontent__")]
ANSWERS = [each for each in EXCHANGES if each.values[0] is None or each.values[0].status == 200]
ERRORS = [each for each in EXCHANGES if each.values[0] is None or each.values[0].status != 200]
NOTES = ("groundingMetadata", "urlContextMetadata")
KINDS = {
    "API_KEY_INVALID": FailureKind.AUTH,
    "PERMISSION_DENIED": FailureKind.AUTH,
    "RESOURCE_EXHAUSTED": FailureKind.THROTTLED,
    "NOT_FOUND": FailureKind.MODEL_UNKNOWN,
}
SAMPLING = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "seed": "seed",
    "candidateCount": "candidate_count",
    "stopSequences": "stop_sequences",
}
MODES = {"AUTO": content_pb2.TOOL_CHOICE_MODE_AUTO}


def ask(model: str = "gemini-2.5-flash", **question: Any) -> Ask:
    return Ask(provider="gemini", model=model, input=chat_pb2.ChatInput(**question), stream=True)


def chunks(exchange: Exchange) -> list[Any]:
    if exchange.streamed:
        return list(exchange.events())
    whole = exchange.answer()
    return whole if isinstance(whole, list) else [whole]


@pytest.mark.parametrize("exchange", ANSWERS)
@pytest.mark.parametrize("seed", range(4))
def test_reads_what_was_said(exchange: Exchange, seed: int) -> None:
    answer = read(
        lambda answer: WIRE.decode_chat(ask(), answer, exchange.content_type),
        cut(exchange.body, seed),
        streaming=bool(seed % 2),
    )
    told = chunks(exchange)
    assert answer.finished
    assert (answer.response_id, answer.model) == (told[0]["responseId"], told[0]["modelVersion"])
    check_usage(answer, [chunk["usageMetadata"] for chunk in told if "usageMetadata" in chunk][-1])
    for candidate in answer.candidates():
        check_candidate(candidate, pieces_of(told, candidate.index))


def pieces_of(told: list[Any], index: int) -> list[Any]:
    return [each for chunk in told for each in chunk["candidates"] if each.get("index", 0) == index]


def check_candidate(candidate: chat_pb2.Candidate, pieces: list[Any]) -> None:
    parts = [part for piece in pieces for part in piece["content"].get("parts", [])]
    own = candidate.message.parts
    assert "".join(part.text.text for part in own) == said(parts, thought=False)
    assert "".join(part.reasoning.text for part in own) == said(parts, thought=True)
    check_calls([part for part in own if part.HasField("tool_call")], parts)
    check_signatures(candidate.message, parts)
    reason = next(piece["finishReason"] for piece in pieces if "finishReason" in piece)
    assert candidate.provider_finish_reason == reason
    calls = any("functionCall" in part for part in parts)
    assert (candidate.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS) is calls
    notes = [(name, piece[name]) for piece in pieces for name in NOTES if piece.get(name)]
    opaque = {part.opaque.type: json.loads(part.opaque.json) for part in own if part.opaque.type in NOTES}
    assert opaque == dict(notes)


def said(parts: list[Any], *, thought: bool) -> str:
    return "".join(part.get("text", "") for part in parts if part.get("thought", False) is thought)


def check_calls(calls: list[content_pb2.Part], parts: list[Any]) -> None:
    told = [part["functionCall"] for part in parts if "functionCall" in part]
    own = [part.tool_call for part in calls if part.tool_call.executor == content_pb2.TOOL_EXECUTOR_CALLER]
    assert [(call.name, json.loads(call.arguments_json)) for call in own] == [(c["name"], c["args"]) for c in told]
    assert all(call.call_id == each["id"] for call, each in zip(own, told, strict=True) if "id" in each)
    runs = [part.tool_call for part in calls if part.tool_call.executor == content_pb2.TOOL_EXECUTOR_PROVIDER]
    code = [part["executableCode"] for part in parts if "executableCode" in part]
    assert [json.loads(run.arguments_json) for run in runs] == code


def check_signatures(message: content_pb2.Message, parts: list[Any]) -> None:
    """Sent back, the answer says the same blocks in the same order."""
    question = chat_pb2.ChatInput(messages=[message]) if message.parts else chat_pb2.ChatInput()
    contents = json.loads(WIRE.encode_chat(Ask("gemini", "gemini-2.5-flash", question, stream=True)).body)["contents"]
    back = [part for content in contents for part in content["parts"]]
    assert joined(back) == joined(parts)


def joined(parts: list[Any]) -> list[Any]:
    """Unsigned texts side by side are one; empty ones say nothing; ids may be made up."""
    whole: list[Any] = []
    for part in map(dict, parts):
        if part.get("thought") is False:
            del part["thought"]
        if "functionCall" in part:
            part["functionCall"] = {name: value for name, value in part["functionCall"].items() if name != "id"}
        if part == {"text": ""}:
            continue
        mergeable = "text" in part and "thoughtSignature" not in part
        if mergeable and whole and whole[-1].keys() == part.keys():
            whole[-1]["text"] += part["text"]
        else:
            whole.append(part)
    return whole


def check_usage(answer: Answer, told: Any) -> None:
    usage = answer.usage
    assert usage is not None
    assert usage.input_tokens == told.get("promptTokenCount", 0) + told.get("toolUsePromptTokenCount", 0)
    assert usage.input_tokens + usage.output_tokens == told["totalTokenCount"]
    assert usage.reasoning_output_tokens == told.get("thoughtsTokenCount", 0)
    assert usage.cached_input_tokens == told.get("cachedContentTokenCount", 0)


@pytest.mark.parametrize("exchange", ERRORS)
def test_knows_why_it_was_refused(exchange: Exchange) -> None:
    failure = WIRE.failure(exchange.status, exchange.headers, exchange.body)
    error = exchange.answer()["error"]
    reason = next((each["reason"] for each in error.get("details", ()) if "reason" in each), error["status"])
    assert (failure.kind, failure.code, failure.http_status) == (KINDS[reason], reason, exchange.status)
    delays = [each["retryDelay"] for each in error.get("details", ()) if "retryDelay" in each]
    assert failure.retry_after_s == (float(delays[0].rstrip("s")) if delays else None)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_spells_the_same_question(exchange: Exchange) -> None:
    path = urlsplit(exchange.path)
    model, method = path.path.removeprefix("/v1beta/models/").split(":")
    told = exchange.question()
    question, options = parse_question(told)
    sent = Ask("gemini", model, question, options, stream=method == "streamGenerateContent")
    sent.max_output_tokens = generation(told).get("maxOutputTokens")
    request = WIRE.encode_chat(sent)
    assert request.path == path.path + ("?alt=sse" if sent.stream else "")
    assert normal(json.loads(request.body)) == normal(told)
    assert not sent.warnings


def generation(told: Any) -> dict[str, Any]:
    config: dict[str, Any] = told.get("generationConfig", {})
    return config


def parse_question(told: Any) -> tuple[chat_pb2.ChatInput, dict[str, Any]]:
    """The gateway's words for a recorded body; what it has no words for goes through the provider's own options."""
    question = chat_pb2.ChatInput()
    config = generation(told)
    parse_system(question, told.get("systemInstruction") or {})
    for content in told["contents"]:
        parse_content(question, content)
    for tool in told.get("tools", ()):
        parse_tool(question, tool)
    for name, field in SAMPLING.items():
        if name in config:
            parse_sampling(question.sampling, field, config[name])
    schema = config.get("responseJsonSchema") or config.get("response_schema")
    if schema:
        question.output_format.json_schema.json_schema = json.dumps(schema)
    thinking = config.get("thinkingConfig", {})
    if thinking:
        question.reasoning.include_text = thinking["includeThoughts"]
    if "thinkingBudget" in thinking:
        question.reasoning.budget_tokens = thinking["thinkingBudget"]
    choice = (told.get("toolConfig") or {}).get("functionCallingConfig")
    if choice:
        question.tool_choice.mode = MODES[choice["mode"]]
    return question, parse_options(told)


def parse_options(told: Any) -> dict[str, Any]:
    options = {name: told[name] for name in ("safetySettings",) if told.get(name)}
    modalities = generation(told).get("responseModalities")
    if modalities:
        options["generationConfig"] = {"responseModalities": modalities}
    flags = {name: value for name, value in (told.get("toolConfig") or {}).items() if name != "functionCallingConfig"}
    return {**options, "toolConfig": flags} if flags else options


def parse_sampling(sampling: chat_pb2.Sampling, field: str, value: Any) -> None:
    if isinstance(value, list):
        sampling.stop_sequences.extend(value)
    else:
        setattr(sampling, field, value)


def parse_system(question: chat_pb2.ChatInput, told: Any) -> None:
    parts = told.get("parts", [])
    for part in parts if isinstance(parts, list) else [parts]:
        message = question.messages.add(role=content_pb2.ROLE_SYSTEM)
        message.parts.add().text.text = part["text"]


def parse_content(question: chat_pb2.ChatInput, content: Any) -> None:
    role = content_pb2.ROLE_ASSISTANT if content["role"] == "model" else content_pb2.ROLE_USER
    message = question.messages.add(role=role)
    for part in content["parts"]:
        parse_part(message.parts.add(), part)
        if message.parts[-1].HasField("tool_result"):
            message.role = content_pb2.ROLE_TOOL


def parse_part(part: content_pb2.Part, told: Any) -> None:
    call = told.get("functionCall") or told.get("function_call")
    result = told.get("functionResponse") or told.get("function_response")
    if call:
        part.tool_call.call_id, part.tool_call.name = call["id"], call["name"]
        part.tool_call.arguments_json = json.dumps(call["args"])
    elif result:
        part.tool_result.call_id, part.tool_result.name = result["id"], result["name"]
        part.tool_result.structured_json = json.dumps(result["response"])
    elif "inlineData" in told:
        blob = part.document.blob
        blob.media_type = told["inlineData"]["mimeType"]
        blob.data = base64.urlsafe_b64decode(told["inlineData"]["data"])
    else:
        part.text.text = told["text"]
    if "thoughtSignature" in told:
        state = {"thoughtSignature": told["thoughtSignature"]}
        part.provider_state.MergeFrom(content_pb2.ProviderState(provider="gemini", data=json.dumps(state).encode()))


def parse_tool(question: chat_pb2.ChatInput, told: Any) -> None:
    for function in told.get("functionDeclarations", ()):
        declared = question.tools.add().function
        declared.name, declared.description = function["name"], function["description"] or ""
        declared.parameters_json_schema = json.dumps(schema_of(function))
    for name, config in told.items():
        if name != "functionDeclarations":
            hosted = question.tools.add().hosted
            hosted.provider, hosted.type, hosted.config_json = "gemini", name, json.dumps(config)


def schema_of(function: Any) -> Any:
    for name in ("parameters", "parameters_json_schema", "parametersJsonSchema"):
        if name in function:
            return function[name]
    return {}


def normal(told: Any) -> Any:
    """The same meaning in one spelling."""
    body = {name: value for name, value in told.items() if value and name != "model"}
    body["contents"] = [normal_content(content) for content in body["contents"]]
    texts = [part["text"] for part in normal_parts(body.pop("systemInstruction", {}))]
    config = {normal_name(name): value for name, value in body.pop("generationConfig", {}).items()}
    config.setdefault("responseMimeType", "text/plain")
    tools = [normal_tool(tool) for tool in body.pop("tools", ())]
    return {**body, "instructions": texts, "generationConfig": config, "tools": tools}


def normal_parts(content: Any) -> list[Any]:
    parts = content.get("parts", [])
    return parts if isinstance(parts, list) else [parts]


def normal_content(content: Any) -> Any:
    return {**content, "parts": [normal_part(part) for part in content["parts"]]}


def normal_part(told: Any) -> Any:
    part = {normal_name(name): value for name, value in told.items() if not (name == "thought" and value is False)}
    if "inlineData" in part:
        data = base64.urlsafe_b64decode(part["inlineData"]["data"].translate(str.maketrans("+/", "-_")))
        part["inlineData"] = {**part["inlineData"], "data": data}
    return part


def normal_tool(tool: Any) -> Any:
    if "functionDeclarations" not in tool:
        return tool
    return [(each["name"], each["description"] or "", schema_of(each)) for each in tool["functionDeclarations"]]


def normal_name(name: str) -> str:
    names = {
        "response_mime_type": "responseMimeType",
        "response_schema": "responseJsonSchema",
        "function_call": "functionCall",
        "function_response": "functionResponse",
    }
    return names.get(name, name)
