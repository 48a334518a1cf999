"""The Messages dialect: how questions are spelled, and the side questions."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.wire.anthropic import ALWAYS, FUNCTION, LOW, NEW, OLD, REQUIRED, WIRE, asked, block, spelled, state, turns
from tests.wire.parts import (
    ADJUSTED,
    ASSISTANT,
    DROPPED,
    STATE_DROPPED,
    SYSTEM,
    TOOL,
    USER,
    call,
    result,
    says,
    text,
    warned,
)
from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.wire.anthropic import Anthropic


def test_spells_the_least() -> None:
    request = WIRE.encode_chat(asked())
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert "anthropic-beta" not in request.headers
    assert json.loads(request.body) == {
        "model": OLD,
        "max_tokens": 100,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    }


def test_asks_for_a_stream() -> None:
    ask = asked(stream=True)
    assert spelled(ask)["stream"] is True
    assert WIRE.encode_chat(ask).headers["accept"] == "text/event-stream"


def test_gives_a_cap_where_the_caller_gave_none() -> None:
    ask = asked(cap=None)
    assert spelled(ask)["max_tokens"] == 4096
    assert not ask.warnings


def test_sets_instructions_apart_and_merges_turns() -> None:
    body = spelled(
        asked(
            messages=[
                says(SYSTEM, text("a")),
                says(USER, text("b")),
                says(content_pb2.ROLE_DEVELOPER, text("c")),
                says(USER, text("d"), text(" ")),
                says(ASSISTANT, call(arguments_json='{"n": 123456789012345678901}')),
                says(USER, text("e")),
                says(TOOL, result(parts=[text("3")], is_error=True)),
            ]
        )
    )
    assert [each["text"] for each in body["system"]] == ["a", "c"]
    assert [each["role"] for each in body["messages"]] == ["user", "assistant", "user"]
    assert [each["text"] for each in body["messages"][0]["content"]] == ["b", "d"]
    assert body["messages"][1]["content"] == [
        {"type": "tool_use", "id": "c1", "name": "add", "input": {"n": 123456789012345678901}}
    ]
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "3"}], "is_error": True},
        {"type": "text", "text": "e"},
    ]


BLOCKS: list[tuple[content_pb2.Part, dict[str, Any]]] = [
    (
        content_pb2.Part(image=content_pb2.ImagePart(blob=content_pb2.Blob(data=b"x", media_type="image/png"))),
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "eA=="}},
    ),
    (
        content_pb2.Part(image=content_pb2.ImagePart(blob=content_pb2.Blob(uri="https://a/b.png"))),
        {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
    ),
    (
        content_pb2.Part(image=content_pb2.ImagePart(blob=content_pb2.Blob(file_id="file_1"))),
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
    ),
    (
        content_pb2.Part(
            document=content_pb2.DocumentPart(blob=content_pb2.Blob(data=b"%PDF"), title="t", context="c")
        ),
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(b"%PDF").decode()},
            "title": "t",
            "context": "c",
        },
    ),
    (
        content_pb2.Part(document=content_pb2.DocumentPart(blob=content_pb2.Blob(data=b"hi", media_type="text/csv"))),
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}},
    ),
    (
        content_pb2.Part(document=content_pb2.DocumentPart(text="hi")),
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}},
    ),
    (
        content_pb2.Part(document=content_pb2.DocumentPart(blob=content_pb2.Blob(uri="https://a/b.pdf"))),
        {"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}},
    ),
    (
        content_pb2.Part(text=content_pb2.TextPart(text="a"), cache_hint=content_pb2.CacheHint(ttl_seconds=3600)),
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ),
    (
        content_pb2.Part(text=content_pb2.TextPart(text="a"), cache_hint=content_pb2.CacheHint()),
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
    ),
    (
        content_pb2.Part(text=content_pb2.TextPart(text="a"), provider_state=state(b'[{"type":"char_location"}]')),
        {"type": "text", "text": "a", "citations": [{"type": "char_location"}]},
    ),
    (
        content_pb2.Part(reasoning=content_pb2.ReasoningPart(text="hm"), provider_state=state(b"sig")),
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
    ),
    (
        content_pb2.Part(reasoning=content_pb2.ReasoningPart(redacted=True), provider_state=state(b"enc")),
        {"type": "redacted_thinking", "data": "enc"},
    ),
    (content_pb2.Part(refusal=content_pb2.RefusalPart(text="no")), {"type": "text", "text": "no"}),
    (
        content_pb2.Part(opaque=content_pb2.OpaquePart(provider="anthropic", type="x", json='{"type":"x","a":1e400}')),
        {"type": "x", "a": float("inf")},
    ),
    (call("a.b:1"), {"type": "tool_use", "id": "a_b_1", "name": "add", "input": {}}),
    (
        call(executor=content_pb2.TOOL_EXECUTOR_PROVIDER),
        {"type": "server_tool_use", "id": "c1", "name": "add", "input": {}},
    ),
    (
        result(structured_json='{"a":1}'),
        {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": '{"a":1}'}]},
    ),
    (result(), {"type": "tool_result", "tool_use_id": "c1"}),
]


@pytest.mark.parametrize(("part", "expected"), BLOCKS)
def test_spells_parts(part: content_pb2.Part, expected: dict[str, Any]) -> None:
    assert block(part) == expected


def test_spells_a_call_of_the_provider_with_all_that_it_said() -> None:
    said = b'{"type":"mcp_tool_use","id":"m1","name":"add","server_name":"s","input":{}}'
    part = call("m1", arguments_json='{"a":1}', executor=content_pb2.TOOL_EXECUTOR_PROVIDER)
    part.provider_state.CopyFrom(state(said))
    assert block(part) == {**json.loads(said), "input": {"a": 1}}


def test_leaves_out_what_another_provider_keeps() -> None:
    reasoning = content_pb2.Part(reasoning=content_pb2.ReasoningPart(text="hm"), provider_state=state(b"s", "other"))
    opaque = content_pb2.Part(opaque=content_pb2.OpaquePart(provider="other", type="x", json="{}"))
    hosted = call("c2", executor=content_pb2.TOOL_EXECUTOR_PROVIDER)
    hosted.provider_state.CopyFrom(state(b"{}", "other"))
    own = call()
    own.provider_state.CopyFrom(state(b"sig", "other"))
    ask = asked(messages=[says(USER, text("a")), says(ASSISTANT, reasoning, opaque, hosted, own)])
    assert [each["type"] for each in spelled(ask)["messages"][1]["content"]] == ["tool_use"]
    assert warned(ask) == [(STATE_DROPPED, "input.messages")]


def test_leaves_out_a_turn_of_which_nothing_is_left() -> None:
    opaque = content_pb2.Part(opaque=content_pb2.OpaquePart(provider="other", type="x", json="{}"))
    assert [each["role"] for each in turns(says(USER, text("a")), says(ASSISTANT, opaque), says(USER, text("b")))] == [
        "user"
    ]


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_refuses_content_it_cannot_take(kind: str) -> None:
    part = content_pb2.Part()
    getattr(part, kind).blob.data = b"x"
    with pytest.raises(TrunklineError) as refused:
        block(part)
    assert refused.value.reason is Reason.CAPABILITY_UNSUPPORTED
    assert refused.value.violations[0].field == f"input.messages[0].parts[0].{kind}"


OUT_OF_PLACE = b'[]}]}],"max_tokens":1000000,"x":[{"y":[{"z":[]'


@pytest.mark.parametrize(
    "part",
    [
        content_pb2.Part(opaque=content_pb2.OpaquePart(provider="anthropic", type="x", json="[1]")),
        content_pb2.Part(text=content_pb2.TextPart(text="a"), provider_state=state(OUT_OF_PLACE)),
        content_pb2.Part(tool_call=content_pb2.ToolCallPart(call_id="c"), provider_state=state(OUT_OF_PLACE)),
        content_pb2.Part(reasoning=content_pb2.ReasoningPart(text="a"), provider_state=state(b"\xff")),
    ],
)
def test_what_comes_from_callers_stays_in_its_place(part: content_pb2.Part) -> None:
    with pytest.raises(TrunklineError) as refused:
        block(part)
    assert refused.value.reason is Reason.VALIDATION


def test_spells_tools() -> None:
    function = content_pb2.FunctionTool(
        name="f", description="d", parameters_json_schema='{"type":"object","b":1,"a":2}', strict=True
    )
    hosted = content_pb2.HostedTool(provider="anthropic", type="web_search_1", config_json='{"name":"web_search"}')
    elsewhere = content_pb2.HostedTool(provider="other", type="search")
    ask = asked(
        tools=[
            content_pb2.Tool(function=function, cache_hint=content_pb2.CacheHint(ttl_seconds=300)),
            FUNCTION,
            content_pb2.Tool(hosted=hosted),
            content_pb2.Tool(hosted=elsewhere),
        ]
    )
    assert spelled(ask)["tools"] == [
        {
            "name": "f",
            "description": "d",
            "input_schema": {"type": "object", "b": 1, "a": 2},
            "strict": True,
            "cache_control": {"type": "ephemeral", "ttl": "5m"},
        },
        {"name": "add", "input_schema": {"type": "object", "properties": {}}},
        {"type": "web_search_1", "name": "web_search"},
    ]
    assert b'{"type":"object","b":1,"a":2}' in WIRE.encode_chat(ask).body
    assert (DROPPED, "input.tools[3]") in warned(ask)


CHOICES: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
    ({}, None),
    ({"tool_choice": content_pb2.ToolChoice(mode=content_pb2.TOOL_CHOICE_MODE_AUTO)}, {"type": "auto"}),
    ({"tool_choice": content_pb2.ToolChoice(mode=content_pb2.TOOL_CHOICE_MODE_NONE)}, {"type": "none"}),
    ({"tool_choice": REQUIRED}, {"type": "any"}),
    ({"tool_choice": content_pb2.ToolChoice(tool_name="add")}, {"type": "tool", "name": "add"}),
    ({"parallel_tool_calls": True}, None),
    ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
    ({"tool_choice": REQUIRED, "parallel_tool_calls": False}, {"type": "any", "disable_parallel_tool_use": True}),
]


@pytest.mark.parametrize(("wanted", "expected"), CHOICES)
def test_spells_the_choice_of_tools(wanted: dict[str, Any], expected: dict[str, Any] | None) -> None:
    assert spelled(asked(tools=[FUNCTION], **wanted)).get("tool_choice") == expected


def test_lets_a_model_choose_that_cannot_be_forced() -> None:
    ask = asked(ALWAYS, tools=[FUNCTION], tool_choice=REQUIRED)
    assert spelled(ask)["tool_choice"] == {"type": "auto"}
    assert warned(ask) == [(ADJUSTED, "input.tool_choice")]


SAMPLING: list[tuple[str, dict[str, Any], dict[str, Any], list[tuple[int, str]]]] = [
    (OLD, {"temperature": 0}, {"temperature": 0}, []),
    (OLD, {"temperature": 1.5}, {"temperature": 1}, [(ADJUSTED, "temperature")]),
    (OLD, {"top_p": 0.5, "top_k": 3, "stop_sequences": ["x"]}, {"top_p": 0.5, "top_k": 3, "stop_sequences": ["x"]}, []),
    (OLD, {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5}, [(DROPPED, "top_p")]),
    ("claude-3-haiku-20240307", {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5, "top_p": 0.5}, []),
    ("claude-sonnet-4-20250514", {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5, "top_p": 0.5}, []),
    (NEW, {"temperature": 1}, {}, []),
    (
        NEW,
        {"temperature": 0, "top_p": 1, "top_k": 1},
        {},
        [(DROPPED, each) for each in ("temperature", "top_p", "top_k")],
    ),
    ("claude-opus-4-8", {"temperature": 0}, {}, [(DROPPED, "temperature")]),
    ("claude-opus-4-6", {"temperature": 0, "top_p": 1}, {"temperature": 0}, [(DROPPED, "top_p")]),
    (OLD, {"candidate_count": 1}, {}, []),
    (
        OLD,
        {"seed": 1, "candidate_count": 2, "top_logprobs": 1, "presence_penalty": 0, "frequency_penalty": 0},
        {},
        [
            (DROPPED, each)
            for each in ("frequency_penalty", "presence_penalty", "seed", "top_logprobs", "candidate_count")
        ],
    ),
]


@pytest.mark.parametrize(("model", "wanted", "expected", "warnings"), SAMPLING)
def test_spells_sampling(
    model: str, wanted: dict[str, Any], expected: dict[str, Any], warnings: list[tuple[int, str]]
) -> None:
    ask = asked(model, sampling=chat_pb2.Sampling(**wanted))
    body = spelled(ask)
    assert {name: body[name] for name in body if name not in ("model", "max_tokens", "messages")} == expected
    assert warned(ask) == [(code, f"input.sampling.{name}") for code, name in warnings]


def test_refuses_instead_where_the_caller_is_strict() -> None:
    with pytest.raises(TrunklineError) as refused:
        spelled(asked(sampling=chat_pb2.Sampling(seed=1), strict_parameters=True))
    assert refused.value.reason is Reason.PARAMETER_UNSUPPORTED


def schema_format(schema: Any, **fields: Any) -> content_pb2.OutputFormat:
    return content_pb2.OutputFormat(json_schema=content_pb2.JsonSchemaFormat(json_schema=json.dumps(schema), **fields))


def test_holds_the_answer_to_a_schema() -> None:
    schema = {"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": False}
    ask = asked(output_format=schema_format(schema), reasoning=chat_pb2.Reasoning(effort=LOW), model=NEW)
    expected = {"effort": "low", "format": {"type": "json_schema", "schema": schema}}
    assert spelled(ask)["output_config"] == expected
    assert json.dumps(schema).encode() in WIRE.encode_chat(ask).body


def test_closes_the_objects_of_a_schema() -> None:
    schema = {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer", "minimum": 1},
            "list": {"type": "array", "minItems": 2, "items": {"type": "number", "multipleOf": 2}},
            "one": {"anyOf": [{"type": "null"}, {"type": "string", "maxLength": 3}]},
        },
        "$defs": {"x": {"type": "object", "properties": {"a": {"enum": [{"minimum": 1}]}}}},
    }
    ask = asked(output_format=schema_format(schema))
    assert spelled(ask)["output_config"]["format"]["schema"] == {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer"},
            "list": {"type": "array", "items": {"type": "number"}},
            "one": {"anyOf": [{"type": "null"}, {"type": "string"}]},
        },
        "$defs": {
            "x": {"type": "object", "properties": {"a": {"enum": [{"minimum": 1}]}}, "additionalProperties": False}
        },
        "additionalProperties": False,
    }
    assert not ask.warnings


@pytest.mark.parametrize(
    ("wanted", "warnings"),
    [
        (content_pb2.OutputFormat(json_object=content_pb2.JsonObjectFormat()), []),
        (schema_format({"type": "object", "properties": {}}, strict=False), []),
        (schema_format({"type": "object"}), [(ADJUSTED, "input.output_format.json_schema")]),
        (
            schema_format({"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "string"}}),
            [(ADJUSTED, "input.output_format.json_schema")],
        ),
    ],
)
def test_asks_in_words_for_what_has_no_field(wanted: content_pb2.OutputFormat, warnings: list[Any]) -> None:
    ask = asked(output_format=wanted)
    body = spelled(ask)
    assert "JSON" in body["system"][0]["text"]
    assert wanted.json_schema.json_schema in body["system"][0]["text"]
    assert "output_config" not in body
    assert warned(ask) == warnings


def test_names_the_features_it_needs() -> None:
    file = content_pb2.Part(document=content_pb2.DocumentPart(blob=content_pb2.Blob(file_id="f")))
    computer = content_pb2.HostedTool(provider="anthropic", type="computer_20250124", config_json='{"name":"computer"}')
    ask = asked(messages=[says(USER, result(parts=[file]))], tools=[content_pb2.Tool(hosted=computer)])
    ask.options = {"context_management": {"edits": [{"type": "compact_20260112"}, {"type": "clear_thinking_20251015"}]}}
    assert Anthropic(betas=("mine",)).encode_chat(ask).headers["anthropic-beta"] == (
        "mine,compact-2026-01-12,computer-use-2025-01-24,context-management-2025-06-27,files-api-2025-04-14"
    )


def test_merges_the_callers_own_fields_last() -> None:
    ask = asked(NEW, reasoning=chat_pb2.Reasoning(effort=LOW))
    ask.end_user = "u1"
    ask.options = {"service_tier": "auto", "output_config": {"effort": "max"}, "metadata": {"x": 1}}
    body = spelled(ask)
    assert body["service_tier"] == "auto"
    assert body["output_config"] == {"effort": "max"}
    assert body["metadata"] == {"user_id": "u1", "x": 1}


def test_warns_about_what_it_moves() -> None:
    image = content_pb2.Part(
        image=content_pb2.ImagePart(blob=content_pb2.Blob(uri="https://a"), detail=content_pb2.MEDIA_DETAIL_LOW),
        cache_hint=content_pb2.CacheHint(ttl_seconds=60),
    )
    thought = content_pb2.Part(
        reasoning=content_pb2.ReasoningPart(text="a"), provider_state=state(b"s"), cache_hint=content_pb2.CacheHint()
    )
    ask = asked(messages=[content_pb2.Message(role=USER, parts=[image], name="Ann"), says(ASSISTANT, thought)])
    spelled(ask)
    assert warned(ask) == [
        (DROPPED, "input.messages[0].name"),
        (DROPPED, "input.messages[0].parts[0].image.detail"),
        (ADJUSTED, "input.messages[0].parts[0].cache_hint.ttl_seconds"),
        (DROPPED, "input.messages[1].parts[0].cache_hint"),
    ]


def test_counts_with_what_can_be_counted() -> None:
    ask = asked(tools=[FUNCTION], sampling=chat_pb2.Sampling(temperature=0))
    request = WIRE.encode_count(ask)
    assert request is not None
    assert request.path == "/v1/messages/count_tokens"
    assert json.loads(request.body).keys() == {"model", "messages", "tools"}
    assert WIRE.decode_count(b'{"input_tokens": 7}') == 7
    with pytest.raises(UpstreamFailure):
        WIRE.decode_count(b"<html>")


def test_lists_models() -> None:
    assert WIRE.encode_models().path == "/v1/models?limit=1000"
    assert [each.name for each in WIRE.decode_models(b'{"data":[{"id":"a","new":1},{"id":"b"}],"has_more":false}')] == [
        "a",
        "b",
    ]
