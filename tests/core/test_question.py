"""Whether a question is whole: what is refused, at which path, and that whole ones pass quickly."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from google.protobuf import json_format

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.question import PARTS_MAX, check

GIF = b"GIF89a\1\0\1\0\0\0\0;"
DEEP = "[" * 100_000
CALLED = {"toolCall": {"callId": "c1", "name": "f", "argumentsJson": '{"a": 1}'}}
CALL = {"role": "ROLE_ASSISTANT", "parts": [CALLED]}
TOOL = {"function": {"name": "f", "parametersJsonSchema": '{"type": "object"}'}}
ASKED = {"role": "ROLE_USER", "parts": [{"text": {"text": "Hi"}}]}


def said(role: str, *parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": f"ROLE_{role}", "parts": list(parts), **more}


def result(call_id: str = "c1", **more: Any) -> dict[str, Any]:
    return {"toolResult": {"callId": call_id, **more}}


def text(words: str = "Hi") -> dict[str, Any]:
    return {"text": {"text": words}}


def blob(*data: bytes, **more: Any) -> content_pb2.Blob:
    made = content_pb2.Blob(**more)
    for each in data:
        made.data = each
    return made


def question(*messages: dict[str, Any], **fields: Any) -> chat_pb2.ChatInput:
    return json_format.ParseDict({"model": "m", "messages": messages or [ASKED], **fields}, chat_pb2.ChatInput())


def shown(**kind: Any) -> chat_pb2.ChatInput:
    message = content_pb2.Message(role=content_pb2.ROLE_USER, parts=[content_pb2.Part(**kind)])
    return chat_pb2.ChatInput(model="m", messages=[message])


def options(value: Any) -> chat_pb2.ChatInput:
    return question(providerOptionsJson={"openai": value if isinstance(value, str) else json.dumps(value)})


def schema(value: Any) -> chat_pb2.ChatInput:
    return question(outputFormat={"jsonSchema": {"jsonSchema": json.dumps(value)}})


WHOLE = {
    "one message": question(),
    "instructions first": question(said("SYSTEM", text()), said("DEVELOPER", text()), ASKED),
    "a beginning to continue": question(ASKED, said("ASSISTANT", text("The"))),
    "tools used": question(ASKED, CALL, said("TOOL", result(structuredJson="[1]", parts=[text()])), tools=[TOOL]),
    "results from the user": question(ASKED, CALL, said("USER", result(), text())),
    "arguments that the model spelled wrongly": question(
        ASKED,
        said(
            "ASSISTANT",
            {"toolCall": {"callId": "c", "name": "f", "argumentsJson": "{", "state": "TOOL_CALL_STATE_INVALID"}},
        ),
    ),
    "no arguments": question(ASKED, said("ASSISTANT", {"toolCall": {"callId": "c", "name": "f"}})),
    "thoughts": question(ASKED, said("ASSISTANT", {"reasoning": {"redacted": True}}, {"refusal": {"text": "No"}})),
    "opaque": question(ASKED, said("ASSISTANT", {"opaque": {"provider": "p", "type": "t", "json": "{}"}})),
    "choice": question(tools=[TOOL], toolChoice={"toolName": "f"}),
    "mode": question(tools=[TOOL], toolChoice={"mode": "TOOL_CHOICE_MODE_REQUIRED"}),
    "hosted": question(
        tools=[{"hosted": {"provider": "p", "type": "search"}}], toolChoice={"mode": "TOOL_CHOICE_MODE_AUTO"}
    ),
    "hosted, named": question(
        tools=[{"hosted": {"provider": "p", "type": "t", "configJson": '{"name": "web"}'}}],
        toolChoice={"toolName": "web"},
    ),
    "schema": schema({"type": "object"}),
    "object": question(outputFormat={"jsonObject": {}}),
    "cost": question(maxCost={"unit": "CREDIT", "nanos": 0}),
    "labels": question(labels={"a": "b"}),
    "sampling": question(sampling={"temperature": 0, "topP": 1}),
    "options": options({"logit_bias": {"1": 2}, "user": "u", "thinking": {"budget_tokens": 9}, "metadata": {"n": 1}}),
    "picture": shown(image=content_pb2.ImagePart(blob=blob(GIF))),
    "picture elsewhere": shown(image=content_pb2.ImagePart(blob=blob(uri="https://example.com/a.png"))),
    "picture there": shown(image=content_pb2.ImagePart(blob=blob(file_id="f"))),
    "sound": shown(audio=content_pb2.AudioPart(blob=blob(b"RIFF", media_type="audio/wav"))),
    "document": shown(document=content_pb2.DocumentPart(text="words")),
    "pdf": shown(document=content_pb2.DocumentPart(blob=blob(b"%PDF-1.7"))),
}
VALIDATION, MEDIA, URL = Reason.VALIDATION, Reason.MEDIA_INVALID, Reason.URL_NOT_ALLOWED
M = "input.messages"
BROKEN: dict[str, tuple[chat_pb2.ChatInput, str, Reason]] = {
    "only instructions": (question(said("SYSTEM", text())), M, VALIDATION),
    "call by the user": (question(said("USER", CALLED)), f"{M}[0].parts[0]", VALIDATION),
    "thoughts of the user": (question(said("USER", text(), {"reasoning": {}})), f"{M}[0].parts[1]", VALIDATION),
    "refusal by a tool": (question(ASKED, said("TOOL", {"refusal": {}})), f"{M}[1].parts[0]", VALIDATION),
    "text by a tool": (question(ASKED, said("TOOL", text())), f"{M}[1].parts[0]", VALIDATION),
    "picture in instructions": (question(said("SYSTEM", {"image": {}}), ASKED), f"{M}[0].parts[0]", VALIDATION),
    "result of no call": (question(said("USER", result("c9"))), f"{M}[0].parts[0].tool_result.call_id", VALIDATION),
    "result before its call": (
        question(ASKED, said("TOOL", result()), CALL),
        f"{M}[1].parts[0].tool_result.call_id",
        VALIDATION,
    ),
    "call within a result": (
        question(ASKED, CALL, said("TOOL", result(parts=[CALLED]))),
        f"{M}[2].parts[0].tool_result.parts[0]",
        VALIDATION,
    ),
    "picture of nothing within a result": (
        question(ASKED, CALL, said("TOOL", result(parts=[{"image": {"blob": {"data": "eA=="}}}]))),
        f"{M}[2].parts[0].tool_result.parts[0].image.blob.data",
        MEDIA,
    ),
    "arguments": (
        question(ASKED, said("ASSISTANT", {"toolCall": {"callId": "c", "name": "f", "argumentsJson": DEEP}})),
        f"{M}[1].parts[0].tool_call.arguments_json",
        VALIDATION,
    ),
    "arguments that are no object": (
        question(ASKED, said("ASSISTANT", {"toolCall": {"callId": "c", "name": "f", "argumentsJson": "[]"}})),
        f"{M}[1].parts[0].tool_call.arguments_json",
        VALIDATION,
    ),
    "structured result": (
        question(ASKED, CALL, said("TOOL", result(structuredJson="{"))),
        f"{M}[2].parts[0].tool_result.structured_json",
        VALIDATION,
    ),
    "opaque": (question(said("USER", {"opaque": {"provider": "p"}})), f"{M}[0].parts[0].opaque.json", VALIDATION),
    "name with a NUL": (question(said("USER", text(), name="a\0b")), f"{M}[0].name", VALIDATION),
    "call id with a NUL": (
        question(ASKED, said("ASSISTANT", {"toolCall": {"callId": "\0", "name": "f"}})),
        f"{M}[1].parts[0].tool_call.call_id",
        VALIDATION,
    ),
    "label with a NUL": (question(labels={"a": "\0"}), "input.labels", VALIDATION),
    "one name twice": (question(tools=[TOOL, TOOL]), "input.tools[1].function.name", VALIDATION),
    "parameters": (
        question(tools=[{"function": {"name": "f", "parametersJsonSchema": '{"a": 1, "a": 2}'}}]),
        "input.tools[0].function.parameters_json_schema",
        VALIDATION,
    ),
    "long parameters": (
        question(tools=[TOOL, {"function": {"name": "g", "parametersJsonSchema": '"' + "x" * 9000 + '"'}}]),
        "input.tools[1].function.parameters_json_schema",
        VALIDATION,
    ),
    "config": (
        question(tools=[{"hosted": {"provider": "p", "type": "t", "configJson": "[]"}}]),
        "input.tools[0].hosted.config_json",
        VALIDATION,
    ),
    "choice without tools": (question(toolChoice={"mode": "TOOL_CHOICE_MODE_AUTO"}), "input.tool_choice", VALIDATION),
    "choice of no tool": (
        question(tools=[TOOL], toolChoice={"toolName": "g"}),
        "input.tool_choice.tool_name",
        VALIDATION,
    ),
    "schema": (schema({"$ref": "http://a"}), "input.output_format.json_schema.json_schema", VALIDATION),
    "cost in dollars": (question(maxCost={"unit": "USD", "nanos": 1}), "input.max_cost.unit", VALIDATION),
    "negative cost": (question(maxCost={"unit": "CREDIT", "nanos": -1}), "input.max_cost.nanos", VALIDATION),
    "picture of nothing": (
        shown(image=content_pb2.ImagePart(blob=blob(b"<svg/>"))),
        f"{M}[0].parts[0].image.blob.data",
        MEDIA,
    ),
    "picture by another name": (
        shown(image=content_pb2.ImagePart(blob=blob(GIF, media_type="image/png"))),
        f"{M}[0].parts[0].image.blob.data",
        MEDIA,
    ),
    "no picture": (shown(image=content_pb2.ImagePart()), f"{M}[0].parts[0].image.blob", VALIDATION),
    "no bytes": (shown(image=content_pb2.ImagePart(blob=blob(b""))), f"{M}[0].parts[0].image.blob.data", MEDIA),
    "picture within": (
        shown(image=content_pb2.ImagePart(blob=blob(uri="https://127.0.0.1/"))),
        f"{M}[0].parts[0].image.blob.uri",
        URL,
    ),
    "picture in the address": (
        shown(image=content_pb2.ImagePart(blob=blob(uri="data:image/png;base64,AAAA"))),
        f"{M}[0].parts[0].image.blob.uri",
        URL,
    ),
    "film within": (
        shown(video=content_pb2.VideoPart(blob=blob(uri="http://example.com/"))),
        f"{M}[0].parts[0].video.blob.uri",
        URL,
    ),
    "sound of no type": (
        shown(audio=content_pb2.AudioPart(blob=blob(b"x"))),
        f"{M}[0].parts[0].audio.blob.media_type",
        VALIDATION,
    ),
    "not a pdf": (
        shown(document=content_pb2.DocumentPart(blob=blob(b"x", media_type="application/pdf"))),
        f"{M}[0].parts[0].document.blob.data",
        MEDIA,
    ),
    "options that are no object": (options("[]"), "input.provider_options_json['openai']", VALIDATION),
    "options of nobody": (question(providerOptionsJson={"\0": "{}"}), "input.provider_options_json", VALIDATION),
}


def words(text: str) -> list[str]:
    return text.split()


DENIED = words("""
    api_key apiKey API-KEY x-api-key api_base base_url baseURL url endpoint headers extra_headers extra_body proxy
    authorization organization model models messages contents input system stream stream_options streamOptions
    max_tokens maxTokens max_completion_tokens maxOutputTokens max_tokens_to_sample n candidate_count tools tool_choice
    functions response_format service_tier speed previous_response_id
""")


@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE)
def test_whole_questions_pass_unchanged(whole: chat_pb2.ChatInput) -> None:
    before = whole.SerializeToString(deterministic=True)
    check(whole)
    assert whole.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(("broken", "path", "reason"), BROKEN.values(), ids=BROKEN)
def test_tells_what_is_wrong_and_where(broken: chat_pb2.ChatInput, path: str, reason: Reason) -> None:
    with pytest.raises(TrunklineError) as caught:
        check(broken)
    assert ([violation.field for violation in caught.value.violations], caught.value.reason) == ([path], reason)


@pytest.mark.parametrize("name", DENIED)
def test_options_cannot_set_what_the_gateway_decides(name: str) -> None:
    with pytest.raises(TrunklineError, match="cannot be set here") as caught:
        check(options({"logprobs": True, name: "x"}))
    assert caught.value.violations[0].field == f"input.provider_options_json['openai'].{name}"


@pytest.mark.parametrize("outer", ["generationConfig", "generation_config", "options"])
@pytest.mark.parametrize("name", ["maxOutputTokens", "candidate_count", "num_predict"])
def test_options_cannot_hide_a_limit_in_an_object(outer: str, name: str) -> None:
    with pytest.raises(TrunklineError, match="cannot be set here"):
        check(options({outer: {"topK": 1, name: 1}}))
    check(options({outer: {"topK": 1, "metadata": {name: 1}}}))


def test_addresses_are_judged_by_the_operators_policy() -> None:
    inside = shown(image=content_pb2.ImagePart(blob=blob(uri="https://pictures.lan/a.png")))
    check(inside, EgressPolicy(allow_private_hosts={"pictures.lan"}))
    with pytest.raises(TrunklineError):
        check(inside)


def test_too_many_parts() -> None:
    message = content_pb2.Message(role=content_pb2.ROLE_USER, parts=[content_pb2.Part(text={})] * 1000)  # type: ignore[arg-type]
    fits = chat_pb2.ChatInput(model="m", messages=[message] * (PARTS_MAX // 1000))
    check(fits)
    fits.messages.append(message)
    with pytest.raises(TrunklineError, match="one too many"):
        check(fits)


def test_a_long_conversation_is_judged_in_proportion() -> None:
    rounds = [ASKED, CALL, said("TOOL", result())] * 1000
    began = time.process_time()
    check(question(*rounds, tools=[TOOL]))
    assert time.process_time() - began < 2
