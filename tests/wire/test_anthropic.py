"""The Messages dialect: questions spelled, answers read however they are cut, failures told apart."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.recorded import pieces, read
from trunkline.v1 import chat_pb2, content_pb2, usage_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.anthropic import Anthropic

WIRE = Anthropic()
OLD, NEW, ALWAYS = "claude-haiku-4-5-20251001", "claude-sonnet-5", "claude-fable-5"
USER, ASSISTANT = content_pb2.ROLE_USER, content_pb2.ROLE_ASSISTANT
DROPPED = chat_pb2.WARNING_CODE_PARAMETER_DROPPED
ADJUSTED = chat_pb2.WARNING_CODE_PARAMETER_ADJUSTED
STATE_DROPPED = chat_pb2.WARNING_CODE_PROVIDER_STATE_DROPPED


def text(words: str) -> content_pb2.Part:
    return content_pb2.Part(text=content_pb2.TextPart(text=words))


def says(role: content_pb2.Role.ValueType, *parts: content_pb2.Part) -> content_pb2.Message:
    return content_pb2.Message(role=role, parts=parts)


def call(call_id: str = "c1", **fields: Any) -> content_pb2.Part:
    return content_pb2.Part(tool_call=content_pb2.ToolCallPart(call_id=call_id, name="add", **fields))


def result(call_id: str = "c1", **fields: Any) -> content_pb2.Part:
    return content_pb2.Part(tool_result=content_pb2.ToolResultPart(call_id=call_id, **fields))


def state(data: bytes, provider: str = "anthropic") -> content_pb2.ProviderState:
    return content_pb2.ProviderState(provider=provider, model=OLD, data=data)


def asked(model: str = OLD, cap: int | None = 100, *, stream: bool = False, **question: Any) -> Ask:
    question.setdefault("messages", [says(USER, text("hi"))])
    return Ask("anthropic", model, chat_pb2.ChatInput(**question), stream=stream, max_output_tokens=cap)


def spelled(ask: Ask) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(WIRE.encode_chat(ask).body)
    return body


def turns(*messages: content_pb2.Message) -> Any:
    return spelled(asked(messages=messages))["messages"]


def block(part: content_pb2.Part) -> Any:
    return turns(says(USER, part))[0]["content"][0]


def warned(ask: Ask) -> list[tuple[int, str]]:
    return [(warning.code, warning.field) for warning in ask.warnings]


FUNCTION = content_pb2.Tool(function=content_pb2.FunctionTool(name="add"))
REQUIRED = content_pb2.ToolChoice(mode=content_pb2.TOOL_CHOICE_MODE_REQUIRED)

# Questions.


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
                says(content_pb2.ROLE_SYSTEM, text("a")),
                says(USER, text("b")),
                says(content_pb2.ROLE_DEVELOPER, text("c")),
                says(USER, text("d"), text(" ")),
                says(ASSISTANT, call(arguments_json='{"n": 123456789012345678901}')),
                says(USER, text("e")),
                says(content_pb2.ROLE_TOOL, result(parts=[text("3")], is_error=True)),
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


LOW, HIGH = chat_pb2.REASONING_EFFORT_LOW, chat_pb2.REASONING_EFFORT_HIGH
NONE = chat_pb2.REASONING_EFFORT_NONE
ThinkingCase = tuple[str, int | None, dict[str, Any], Any, Any, list[tuple[int, str]]]
THINKING: list[ThinkingCase] = [
    (OLD, 9000, {}, None, None, []),
    (OLD, 9000, {"effort": LOW}, {"type": "enabled", "budget_tokens": 2048}, None, []),
    (OLD, 9000, {"effort": HIGH}, {"type": "enabled", "budget_tokens": 7200}, None, []),
    (OLD, None, {"effort": HIGH}, {"type": "enabled", "budget_tokens": 24576}, None, []),
    (OLD, 9000, {"effort": NONE}, None, None, []),
    (OLD, 9000, {"budget_tokens": 0}, None, None, []),
    (OLD, 9000, {"budget_tokens": 5000}, {"type": "enabled", "budget_tokens": 5000}, None, []),
    (
        OLD,
        9000,
        {"budget_tokens": 9000},
        {"type": "enabled", "budget_tokens": 8999},
        None,
        [(ADJUSTED, ".budget_tokens")],
    ),
    (OLD, 9000, {"budget_tokens": 5}, {"type": "enabled", "budget_tokens": 1024}, None, [(ADJUSTED, ".budget_tokens")]),
    (OLD, 1000, {"effort": LOW}, None, None, [(DROPPED, "")]),
    (OLD, 9000, {"include_text": True}, None, None, []),
    (
        OLD,
        9000,
        {"effort": LOW, "include_text": False},
        {"type": "enabled", "budget_tokens": 2048, "display": "omitted"},
        None,
        [],
    ),
    (NEW, 100, {"effort": LOW}, {"type": "adaptive"}, "low", []),
    (NEW, 100, {"budget_tokens": 9000}, {"type": "adaptive"}, "medium", []),
    (NEW, 100, {"effort": NONE}, {"type": "disabled"}, None, []),
    (NEW, 100, {"include_text": True}, {"type": "adaptive", "display": "summarized"}, None, []),
    (ALWAYS, 100, {"effort": NONE}, None, "low", [(ADJUSTED, "")]),
    (ALWAYS, 100, {"effort": HIGH}, {"type": "adaptive"}, "high", []),
]


@pytest.mark.parametrize("case", THINKING)
def test_spells_thinking(case: ThinkingCase) -> None:
    model, cap, wanted, thinking, effort, warnings = case
    ask = asked(model, cap, reasoning=chat_pb2.Reasoning(**wanted))
    body = spelled(ask)
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort
    assert warned(ask) == [(code, f"input.reasoning{path}") for code, path in warnings]


def test_leaves_room_for_the_answer_where_there_is_no_cap() -> None:
    assert spelled(asked(cap=None, reasoning=chat_pb2.Reasoning(budget_tokens=5000)))["max_tokens"] == 9096


def test_picks_words_freely_while_thinking() -> None:
    sampling = chat_pb2.Sampling(temperature=0.5, top_p=0.5, top_k=5)
    ask = asked(cap=9000, reasoning=chat_pb2.Reasoning(effort=LOW), sampling=sampling)
    assert not {"temperature", "top_p", "top_k"} & spelled(ask).keys()
    assert [path for _, path in warned(ask)] == [f"input.sampling.{each}" for each in ("temperature", "top_p", "top_k")]


@pytest.mark.parametrize(("model", "block"), [(OLD, None), (NEW, {"type": "disabled"})])
def test_does_not_think_before_a_forced_call(model: str, block: Any) -> None:
    ask = asked(model, 9000, tools=[FUNCTION], tool_choice=REQUIRED, reasoning=chat_pb2.Reasoning(effort=LOW))
    body = spelled(ask)
    assert body.get("thinking") == block
    assert body["tool_choice"] == {"type": "any"}
    assert warned(ask) == [(DROPPED, "input.reasoning")]


def thought(provider: str = "anthropic") -> content_pb2.Part:
    return content_pb2.Part(reasoning=content_pb2.ReasoningPart(text="hm"), provider_state=state(b"s", provider))


CITING = content_pb2.Part(text=content_pb2.TextPart(text="a"), provider_state=state(b"[]"))


@pytest.mark.parametrize(
    ("said", "thinks"),
    [
        ([says(ASSISTANT, thought(), call())], True),
        ([says(ASSISTANT, thought(), call()), says(USER, result()), says(ASSISTANT, call("c2"))], True),
        ([says(ASSISTANT, call())], False),
        ([says(ASSISTANT, thought("other"), call())], False),
        ([says(ASSISTANT, CITING, call())], False),
    ],
)
def test_thinks_on_only_after_its_own_thoughts(said: list[content_pb2.Message], thinks: bool) -> None:
    messages = [says(USER, text("a")), *said, says(USER, result()), says(content_pb2.ROLE_SYSTEM, text("b"))]
    ask = asked(cap=9000, messages=messages, reasoning=chat_pb2.Reasoning(effort=LOW))
    assert ("thinking" in spelled(ask)) is thinks


def test_thinks_in_a_new_turn_whatever_the_last_one_was() -> None:
    messages = [says(USER, text("a")), says(ASSISTANT, call()), says(USER, result()), says(USER, text("b"))]
    assert "thinking" in spelled(asked(cap=9000, messages=messages, reasoning=chat_pb2.Reasoning(effort=LOW)))


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


# Answers.


def event(name: str, **fields: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields}, ensure_ascii=False)}  \n\n".encode()


def start(index: int, **block: Any) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def delta(index: int, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta=fields)


def stop(index: int) -> bytes:
    return event("content_block_stop", index=index)


BEGIN = event("message_start", message={"id": "m1", "model": "c", "content": [], "usage": {"input_tokens": 3}})
BEGIN += event("ping")
MARK = event("message_stop")


def end(reason: str | None = "end_turn", usage: dict[str, Any] | None = None, **fields: Any) -> bytes:
    return event("message_delta", delta={"stop_reason": reason, **fields}, usage=usage or {"output_tokens": 5})


def words(index: int, text: str) -> bytes:
    return start(index, type="text", text="") + delta(index, type="text_delta", text=text) + stop(index)


CITED = {"type": "char_location", "cited_text": "Ünder", "document_title": "doc", "document_index": 0}
SEARCH = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"url": "https://a", "n": 1}]}
EVERYTHING = b"".join(
    (
        BEGIN,
        start(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking="hm … "),
        delta(0, type="thinking_delta", thinking="so"),
        delta(0, type="signature_delta", signature="sig"),
        stop(0),
        start(1, type="redacted_thinking", data="enc"),
        stop(1),
        start(2, type="text", text="", citations=[]),
        delta(2, type="citations_delta", citation=CITED),
        delta(2, type="text_delta", text="naïve 🧮"),
        delta(2, type="text_delta", text=" text"),
        stop(2),
        words(3, "more"),
        start(4, type="server_tool_use", id="s1", name="web_search", input={}),
        delta(4, type="input_json_delta", partial_json='{"query": "ü"}'),
        stop(4),
        start(5, **SEARCH),
        stop(5),
        event("content_block_later", new=True),
        start(6, type="tool_use", id="t1", name="add", input={}, caller={"type": "direct"}),
        delta(6, type="input_json_delta", partial_json=""),
        start(7, type="tool_use", id="t2", name="now", input={}),
        delta(6, type="input_json_delta", partial_json='{"a": 1'),
        delta(7, type="input_json_delta", partial_json=""),
        delta(6, type="input_json_delta", partial_json="}"),
        stop(6),
        stop(7),
        start(8, type="compaction", content=None),
        delta(8, type="compaction_delta", content="we "),
        delta(8, type="compaction_delta", content="met"),
        stop(8),
        end("tool_use"),
        MARK,
    )
)


def decoder(answer: Answer) -> Any:
    return WIRE.decode_chat(asked(stream=True), answer, "text/event-stream; charset=utf-8")


def heard(*parts: bytes, streaming: bool = False) -> Answer:
    return read(decoder, parts, streaming=streaming)


def whole(body: dict[str, Any] | bytes) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(lambda answer: WIRE.decode_chat(asked(stream=True), answer, "application/json"), [data])


def parts_of(answer: Answer) -> Iterable[content_pb2.Part]:
    (candidate,) = answer.candidates()
    return candidate.message.parts


def test_reads_every_kind_of_block() -> None:
    answer = heard(EVERYTHING)
    (candidate,) = answer.candidates()
    thought, hidden, cited, more, search, found, add, now, compacted = candidate.message.parts
    assert thought.reasoning.text == "hm … so"
    assert thought.provider_state == content_pb2.ProviderState(provider="anthropic", model=OLD, data=b"sig")
    assert (hidden.reasoning.redacted, hidden.provider_state.data) == (True, b"enc")
    assert cited.text.text == "naïve 🧮 text"
    assert (cited.text.citations[0].title, cited.text.citations[0].cited_text) == ("doc", "Ünder")
    assert json.loads(cited.text.citations[0].provider_json) == CITED
    assert more == text("more")
    assert search.tool_call.executor == content_pb2.TOOL_EXECUTOR_PROVIDER
    assert search.tool_call.arguments_json == '{"query": "ü"}'
    assert json.loads(found.opaque.json) == SEARCH
    assert (add.tool_call.call_id, add.tool_call.arguments_json) == ("t1", '{"a": 1}')
    assert not add.HasField("provider_state")
    assert (now.tool_call.call_id, now.tool_call.arguments_json) == ("t2", "{}")
    assert json.loads(compacted.opaque.json) == {"type": "compaction", "content": "we met"}
    assert candidate.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS
    assert (answer.response_id, answer.model) == ("m1", "c")


def test_what_was_said_goes_back_as_it_came() -> None:
    said = turns(says(USER, text("a")), says(ASSISTANT, *parts_of(heard(EVERYTHING))))[1]["content"]
    assert said == [
        {"type": "thinking", "thinking": "hm … so", "signature": "sig"},
        {"type": "redacted_thinking", "data": "enc"},
        {"type": "text", "text": "naïve 🧮 text", "citations": [CITED]},
        {"type": "text", "text": "more"},
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "ü"}},
        SEARCH,
        {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}},
        {"type": "tool_use", "id": "t2", "name": "now", "input": {}},
        {"type": "compaction", "content": "we met"},
    ]


@given(positions=st.lists(st.integers(0, len(EVERYTHING)), max_size=30), crlf=st.booleans())
def test_reads_the_same_however_it_is_cut(positions: list[int], crlf: bool) -> None:
    body = EVERYTHING.replace(b"\n", b"\r\n") if crlf else EVERYTHING
    answer = heard(*pieces(body, positions), streaming=True)
    assert answer.candidates() == heard(EVERYTHING).candidates()
    assert answer.usage == heard(EVERYTHING).usage


def test_reads_a_whole_message_like_a_streamed_one() -> None:
    content = [
        {"type": "thinking", "thinking": "hm … so", "signature": "sig"},
        {"type": "redacted_thinking", "data": "enc"},
        {"type": "text", "text": "naïve 🧮 text", "citations": [CITED]},
        {"type": "text", "text": "more", "citations": None},
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "ü"}},
        SEARCH,
        {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}, "caller": {"type": "direct"}},
        {"type": "tool_use", "id": "t2", "name": "now", "input": {}},
        {"type": "compaction", "content": "we met"},
    ]
    message = {"id": "m1", "model": "c", "content": content, "stop_reason": "tool_use", "usage": {"output_tokens": 5}}
    spaced = b" \n\n" + json.dumps(message, ensure_ascii=False).encode()
    (answer,), (streamed,) = whole(spaced).candidates(), heard(EVERYTHING).candidates()
    assert [without_json(part) for part in answer.message.parts] == [without_json(p) for p in streamed.message.parts]
    assert answer.finish_reason == streamed.finish_reason


def without_json(part: content_pb2.Part) -> content_pb2.Part:
    """The texts of blocks differ in their order of fields."""
    part.ClearField("provider_state")
    part.opaque.json = json.dumps(json.loads(part.opaque.json or "{}"), sort_keys=True)
    return part


def test_keeps_numbers_and_order_of_arguments() -> None:
    body = b'{"content":[{"type":"tool_use","id":"t","name":"f","input":{"z": 12345678901234567890123, "a": 1.0}}]}'
    (part,) = parts_of(whole(body))
    assert part.tool_call.arguments_json == '{"z": 12345678901234567890123, "a": 1.0}'


@pytest.mark.parametrize("executed", [False, True])
def test_keeps_who_else_calls(executed: bool) -> None:
    kind = "mcp_tool_use" if executed else "tool_use"
    said = {"type": kind, "id": "t", "name": "f", "input": {}, "caller": {"type": "code_execution_1", "tool_id": "x"}}
    (part,) = parts_of(whole({"content": [said]}))
    assert json.loads(part.provider_state.data) == said
    assert block(part) == said


REASONS = [
    ("end_turn", chat_pb2.FINISH_REASON_STOP),
    ("max_tokens", chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS),
    ("model_context_window_exceeded", chat_pb2.FINISH_REASON_CONTEXT_WINDOW),
    ("pause_turn", chat_pb2.FINISH_REASON_PAUSED),
    ("refusal", chat_pb2.FINISH_REASON_REFUSAL),
    ("something_new", chat_pb2.FINISH_REASON_OTHER),
]


@pytest.mark.parametrize(("told", "expected"), REASONS)
def test_tells_why_it_ended(told: str, expected: int) -> None:
    (candidate,) = heard(BEGIN, words(0, "a"), end(told), MARK).candidates()
    assert (candidate.finish_reason, candidate.provider_finish_reason) == (expected, told)


def test_tells_the_stop_sequence() -> None:
    (candidate,) = heard(BEGIN, words(0, "a"), end("stop_sequence", stop_sequence="END")).candidates()
    assert candidate.finish_reason == chat_pb2.FINISH_REASON_STOP_SEQUENCE
    assert candidate.stop_sequence == "END"


def test_tells_the_words_of_a_refusal() -> None:
    details = {"type": "refusal", "explanation": "not that"}
    (candidate,) = heard(BEGIN, end("refusal", stop_details=details), MARK).candidates()
    assert candidate.message.parts[0].refusal.text == "not that"


def test_finds_the_reason_where_none_is_told() -> None:
    (candidate,) = whole({"content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]}).candidates()
    assert candidate.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS
    (candidate,) = heard(BEGIN, words(0, "a"), end(None), MARK).candidates()
    assert candidate.finish_reason == chat_pb2.FINISH_REASON_STOP


def test_merges_usage_and_adds_nothing_twice() -> None:
    first = {
        "input_tokens": 3,
        "cache_read_input_tokens": 10,
        "cache_creation_input_tokens": 20,
        "cache_creation": {"ephemeral_5m_input_tokens": 16, "ephemeral_1h_input_tokens": 4},
        "output_tokens": 88,
    }
    last = {
        "input_tokens": 5,
        "output_tokens": 7,
        "cache_read_input_tokens": None,
        "output_tokens_details": {"thinking_tokens": 2},
        "server_tool_use": {"web_search_requests": 1},
    }
    begin = event("message_start", message={"id": "m", "usage": first})
    assert heard(begin, words(0, "a"), end(usage=last), MARK).usage == usage_pb2.Usage(
        input_tokens=35,
        cached_input_tokens=10,
        cache_write_input_tokens=20,
        output_tokens=7,
        reasoning_output_tokens=2,
        unit_counts={"searches": 1, "cache_write_1h": 4},
        source=usage_pb2.USAGE_SOURCE_PROVIDER,
    )


def test_clamps_impossible_counts() -> None:
    usage = whole({"content": [], "usage": {"input_tokens": -5, "output_tokens": 10**30}}).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (0, 2**63 - 1)
    assert whole({"content": []}).usage is None


def test_reads_blocks_that_are_never_stopped() -> None:
    body = (start(0, type="text", text="a"), start(1, **SEARCH), start(2, type="text", text="b"), start(3, **SEARCH))
    said = [part.WhichOneof("kind") for part in parts_of(heard(BEGIN, *body, end()))]
    assert said == ["text", "opaque", "text", "opaque"]
    with pytest.raises(UpstreamFailure):
        heard(BEGIN, *body[:3], delta(0, type="text_delta", text="late"), end())


def test_reads_events_without_names() -> None:
    unnamed = b"".join(line + b"\n" for line in EVERYTHING.split(b"\n") if not line.startswith(b"event:"))
    assert heard(unnamed).candidates() == heard(EVERYTHING).candidates()


# Failures.

CUT: list[tuple[tuple[bytes, ...], FailureKind]] = [
    ((), FailureKind.BROKEN),
    ((BEGIN,), FailureKind.BROKEN),
    ((BEGIN, MARK), FailureKind.BROKEN),
    ((BEGIN, words(0, "a")), FailureKind.INTERRUPTED),
    ((BEGIN, words(0, "a"), end(None)), FailureKind.INTERRUPTED),
    ((EVERYTHING, words(9, "late")), FailureKind.BROKEN),
    ((BEGIN, delta(0, type="text_delta", text="a")), FailureKind.BROKEN),
    ((BEGIN, words(0, "a"), delta(0, type="text_delta", text="late")), FailureKind.BROKEN),
    ((BEGIN, start(0, type="text", text="a"), start(0, type="text", text="b")), FailureKind.BROKEN),
    ((BEGIN, start(0, type="text", text=7)), FailureKind.BROKEN),
    ((b"event: message_start\ndata: {\n\n",), FailureKind.BROKEN),
    ((b"data: [DONE]\n\n",), FailureKind.BROKEN),
    ((b'event: content_block_start\ndata: {"x":' + b"[" * 100_000 + b"\n\n",), FailureKind.BROKEN),
]


@pytest.mark.parametrize(("body", "kind"), CUT)
def test_a_cut_or_broken_stream_never_looks_whole(body: tuple[bytes, ...], kind: FailureKind) -> None:
    with pytest.raises(UpstreamFailure) as failure:
        heard(*body)
    assert failure.value.kind is kind


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"content":{}}', b'{"content":[7]}', b"\xff"])
def test_a_body_that_is_no_message_is_broken(body: bytes) -> None:
    with pytest.raises(UpstreamFailure) as failure:
        whole(body)
    assert failure.value.kind is FailureKind.BROKEN


@pytest.mark.parametrize("content_type", ["text/html", "", "text/plain; charset=utf-8"])
def test_only_reads_what_it_knows(content_type: str) -> None:
    with pytest.raises(UpstreamFailure) as failure:
        WIRE.decode_chat(asked(), Answer(streaming=False), content_type)
    assert failure.value.kind is FailureKind.BROKEN


def error(type_: str, message: str = "secret sk-ant-1") -> dict[str, Any]:
    return {"type": "error", "error": {"details": None, "type": type_, "message": message}, "request_id": None}


@pytest.mark.parametrize("before", [b"", BEGIN, BEGIN + words(0, "a")])
def test_tells_an_error_within_a_stream(before: bytes) -> None:
    overloaded = b"event: error\ndata: " + json.dumps(error("overloaded_error")).encode() + b"      \n\n"
    with pytest.raises(UpstreamFailure) as failure:
        heard(before, overloaded)
    assert (failure.value.kind, failure.value.code) == (FailureKind.THROTTLED, "overloaded_error")
    assert "secret" not in str(failure.value)


def test_tells_an_error_within_a_good_body() -> None:
    with pytest.raises(UpstreamFailure) as failure:
        whole(error("api_error"))
    assert failure.value.kind is FailureKind.TRANSIENT


ERRORS: list[tuple[int, str, str, FailureKind]] = [
    (400, "invalid_request_error", "messages: bad", FailureKind.INVALID),
    (400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum", FailureKind.CONTEXT_TOO_LONG),
    (400, "invalid_request_error", "Your credit balance is too low to access the API", FailureKind.QUOTA),
    (400, "invalid_request_error", "You have reached your specified API usage limits.", FailureKind.QUOTA),
    (400, "invalid_request_error", "Output blocked by content filtering policy", FailureKind.FILTERED),
    (401, "authentication_error", "invalid x-api-key", FailureKind.AUTH),
    (402, "billing_error", "", FailureKind.QUOTA),
    (403, "permission_error", "", FailureKind.AUTH),
    (404, "not_found_error", "model: x", FailureKind.MODEL_UNKNOWN),
    (404, "not_found_error", "File not found", FailureKind.INVALID),
    (413, "request_too_large", "", FailureKind.INVALID),
    (429, "rate_limit_error", "would exceed the rate limit", FailureKind.THROTTLED),
    (500, "api_error", "", FailureKind.TRANSIENT),
    (504, "timeout_error", "", FailureKind.TRANSIENT),
    (529, "overloaded_error", "Overloaded", FailureKind.THROTTLED),
    (500, "something_new", "", FailureKind.TRANSIENT),
]


@pytest.mark.parametrize(("status", "type_", "message", "kind"), ERRORS)
def test_tells_failures_apart(status: int, type_: str, message: str, kind: FailureKind) -> None:
    failure = WIRE.failure(status, {"retry-after": "2"}, json.dumps(error(type_, message)).encode())
    assert (failure.kind, failure.code, failure.http_status) == (kind, type_, status)
    assert failure.retry_after_s == (2.0 if status == 429 or status >= 500 else None)


@given(body=st.binary(max_size=200), status=st.integers(400, 599))
def test_any_bytes_are_some_failure(body: bytes, status: int) -> None:
    assert WIRE.failure(status, {}, body).http_status == status


def test_nested_bytes_are_some_failure() -> None:
    assert WIRE.failure(500, {}, b'{"x":' + b"[" * 100_000).kind is FailureKind.TRANSIENT


@given(body=st.binary(max_size=200))
def test_any_bytes_are_broken_at_most(body: bytes) -> None:
    with pytest.raises(UpstreamFailure):
        heard(body)
    with pytest.raises(UpstreamFailure):
        whole(body)
