"""The sandbox behind the real wire: each behaviour ends in the answer or failure that a real provider would cause."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.providers.client import ClientSettings
from trunkline_server.providers.provider import Upstream
from trunkline_server.providers.sandbox import SANDBOX, SandboxTransport
from trunkline_server.providers.sandbox.refusal import Refusal
from trunkline_server.providers.sandbox.sample import sample
from trunkline_server.providers.sandbox.script import MODELS
from trunkline_server.providers.sandbox.speech import words_of
from trunkline_server.providers.sandbox.transport import WORKSHOPS
from trunkline_server.wire.http import HttpRequest

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
    "required": ["city", "days"],
}
BOTH_WAYS = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


@dataclass
class Clock:
    """Waits for nobody, and remembers the pauses."""

    pauses: list[float] = field(default_factory=list)

    async def sleep(self, pause_s: float) -> None:
        await asyncio.sleep(0)
        if pause_s:
            self.pauses.append(round(pause_s, 6))


@dataclass
class Sandbox:
    """The provider as the gateway holds it."""

    clock: Clock = field(default_factory=Clock)
    settings: ClientSettings = field(default_factory=ClientSettings)

    def __post_init__(self) -> None:
        self.transport = SandboxTransport(self.settings, self.clock.sleep)
        self.upstream = Upstream(SANDBOX, self.transport)

    async def say(self, ask: Ask) -> Answer:
        answer = Answer(streaming=ask.stream)
        async for _ in self.upstream.chat(ask, answer):
            pass
        return answer

    async def fail(self, ask: Ask) -> UpstreamFailure:
        """The failure, with what was said before as its note."""
        answer = Answer(streaming=ask.stream)
        with pytest.raises(UpstreamFailure) as caught:
            async for _ in self.upstream.chat(ask, answer):
                pass
        caught.value.add_note(said(answer) if answer.has_content else "")
        return caught.value


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


def message(role: content_pb2.Role.ValueType, text: str) -> content_pb2.Message:
    return content_pb2.Message(role=role, parts=[content_pb2.Part(text=content_pb2.TextPart(text=text))])


def ask(
    model: str = "echo",
    text: str = "one two three",
    *,
    stream: bool = True,
    cap: int | None = None,
    more: chat_pb2.ChatInput | None = None,
    **script: object,
) -> Ask:
    question = chat_pb2.ChatInput(model=f"sandbox/{model}", messages=[message(content_pb2.ROLE_USER, text)])
    question.MergeFrom(more or chat_pb2.ChatInput())
    return Ask("sandbox", model, question, {"script": script} if script else {}, stream=stream, max_output_tokens=cap)


def said(answer: Answer, candidate: int = 0) -> str:
    return "".join(part.text.text for part in answer.candidates()[candidate].message.parts)


def calls(answer: Answer) -> list[tuple[str, object]]:
    parts = answer.candidates()[0].message.parts
    return [
        (part.tool_call.name, json.loads(part.tool_call.arguments_json)) for part in parts if part.HasField("tool_call")
    ]


def finish(answer: Answer) -> int:
    return answer.candidates()[0].finish_reason


def usage(answer: Answer) -> tuple[int, int, int, int]:
    assert answer.usage is not None
    told = answer.usage
    return told.input_tokens, told.output_tokens, told.cached_input_tokens, told.reasoning_output_tokens


def offering(name: str = "weather", schema: Mapping[str, object] | None = None) -> chat_pb2.ChatInput:
    function = content_pb2.FunctionTool(name=name, parameters_json_schema=json.dumps(schema or CITY))
    return chat_pb2.ChatInput(tools=[content_pb2.Tool(function=function)])


def shaped(schema: object) -> chat_pb2.ChatInput:
    wanted = content_pb2.JsonSchemaFormat(name="shape", json_schema=json.dumps(schema))
    return chat_pb2.ChatInput(output_format=content_pb2.OutputFormat(json_schema=wanted))


async def raw(transport: SandboxTransport, request: HttpRequest) -> tuple[int, bytes]:
    async with transport.open(request) as response:
        return response.status, await response.read(1 << 20)


# What the models say.


@BOTH_WAYS
async def test_echo_says_the_last_user_text_and_counts_words(sandbox: Sandbox, stream: bool) -> None:
    answer = await sandbox.say(ask(text="  guten Tag,\n  Welt \n", stream=stream))
    assert said(answer) == "  guten Tag,\n  Welt \n"
    assert finish(answer) == chat_pb2.FINISH_REASON_STOP
    assert usage(answer) == (3, 3, 0, 0)
    assert answer.model == "echo"
    assert answer.response_id.startswith("chatcmpl-")


async def test_each_word_is_one_read(sandbox: Sandbox) -> None:
    answer, texts = Answer(streaming=True), []
    async for _ in sandbox.upstream.chat(ask(), answer):
        texts += [event.part_delta.text for event in answer.drain() if event.HasField("part_delta")]
    assert texts == ["one", " two", " three"]


async def test_chunk_puts_words_together(sandbox: Sandbox) -> None:
    answer = await sandbox.say(ask(text="a b c d e", chunk=2))
    assert (said(answer), answer.delta_count, usage(answer)[1]) == ("a b c d e", 3, 5)


@BOTH_WAYS
@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (ask("free"), "one two three"),
        (ask("count", "count to 4"), "1 2 3 4"),
        (ask("count", "count"), "1 2 3 4 5 6 7 8 9 10"),
        (ask("count", tokens=2), "1 2"),
        (ask("lorem", tokens=3), "lorem ipsum dolor"),
        (ask("lorem", tokens=0), ""),
        (ask("echo", "a b", tokens=5), "a b a b a"),
        (ask("echo", text=""), ""),
        (ask("json", json={"a": [1, None]}), '{"a": [1, null]}'),
        (ask("json", "hi"), '{"answer": "hi"}'),
    ],
)
async def test_models_say(sandbox: Sandbox, asked: Ask, text: str, stream: bool) -> None:
    asked.stream = stream
    answer = await sandbox.say(asked)
    assert (said(answer), finish(answer)) == (text, chat_pb2.FINISH_REASON_STOP)
    assert usage(answer)[1] == len(text.split())


@BOTH_WAYS
async def test_script_text_goes_out_as_it_is(sandbox: Sandbox, stream: bool) -> None:
    asked = ask(stream=stream)
    asked.options = {"script": {"text": '{"half": \u00e9'}}
    assert said(await sandbox.say(asked)) == '{"half": \u00e9'


@BOTH_WAYS
async def test_think_thinks_before_it_answers(sandbox: Sandbox, stream: bool) -> None:
    answer = await sandbox.say(ask("think", stream=stream))
    thought, text = answer.candidates()[0].message.parts
    assert (thought.reasoning.text, text.text.text) == ("I should say what I hear.", "one two three")
    assert usage(answer) == (3, 9, 0, 6)


@BOTH_WAYS
async def test_refuse_refuses(sandbox: Sandbox, stream: bool) -> None:
    answer = await sandbox.say(ask("refuse", stream=stream))
    assert [part.refusal.text for part in answer.candidates()[0].message.parts] == ["I cannot help with that."]
    assert finish(answer) == chat_pb2.FINISH_REASON_REFUSAL


@BOTH_WAYS
async def test_candidates_are_counted_together(sandbox: Sandbox, stream: bool) -> None:
    more = chat_pb2.ChatInput(sampling=chat_pb2.Sampling(candidate_count=3))
    answer = await sandbox.say(ask(stream=stream, more=more))
    assert [said(answer, index) for index in range(3)] == ["one two three"] * 3
    assert usage(answer) == (3, 9, 0, 0)


@BOTH_WAYS
async def test_the_cap_cuts_the_answer(sandbox: Sandbox, stream: bool) -> None:
    answer = await sandbox.say(ask("think", stream=stream, cap=7))
    assert (said(answer), finish(answer)) == ("one", chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS)
    assert usage(answer) == (3, 7, 0, 6)


@BOTH_WAYS
async def test_stop_sequences_end_the_answer(sandbox: Sandbox, stream: bool) -> None:
    more = chat_pb2.ChatInput(sampling=chat_pb2.Sampling(stop_sequences=[" th", "two"]))
    assert said(await sandbox.say(ask(stream=stream, more=more))) == "one "


async def test_input_is_the_words_of_all_messages(sandbox: Sandbox) -> None:
    earlier = [message(content_pb2.ROLE_SYSTEM, "be brief"), message(content_pb2.ROLE_ASSISTANT, "a b c")]
    answer = await sandbox.say(ask(more=chat_pb2.ChatInput(messages=earlier)))
    assert (said(answer), usage(answer)[0]) == ("one two three", 8)


# Tools.


@BOTH_WAYS
async def test_tools_calls_the_tool_and_then_tells_its_result(sandbox: Sandbox, stream: bool) -> None:
    asked = ask("tools", stream=stream, more=offering())
    answer = await sandbox.say(asked)
    assert calls(answer) == [("weather", {"city": "text", "days": 2})]
    assert finish(answer) == chat_pb2.FINISH_REASON_TOOL_CALLS
    assert usage(answer) == (3, 4, 0, 0)

    called = answer.candidates()[0].message
    result = content_pb2.ToolResultPart(
        call_id=called.parts[0].tool_call.call_id, parts=message(content_pb2.ROLE_TOOL, "rain").parts
    )
    asked.input.messages.append(called)
    asked.input.messages.add(role=content_pb2.ROLE_TOOL, parts=[content_pb2.Part(tool_result=result)])
    answer = await sandbox.say(asked)
    assert (said(answer), finish(answer)) == ("The tool says: rain", chat_pb2.FINISH_REASON_STOP)


async def test_tools_calls_the_one_that_is_chosen(sandbox: Sandbox) -> None:
    more = offering()
    more.MergeFrom(offering("time", {"type": "object"}))
    more.tool_choice.tool_name = "time"
    assert calls(await sandbox.say(ask("tools", more=more))) == [("time", {})]


async def test_tools_calls_none_when_told_so(sandbox: Sandbox) -> None:
    more = offering()
    more.tool_choice.mode = content_pb2.TOOL_CHOICE_MODE_NONE
    assert said(await sandbox.say(ask("tools", more=more))) == "one two three"
    assert said(await sandbox.say(ask("tools"))) == "one two three"


@BOTH_WAYS
async def test_scripted_calls_are_parallel_and_have_their_own_ids(sandbox: Sandbox, stream: bool) -> None:
    wanted = [{"name": "a", "arguments": {"x": 1}}, {"name": "b"}]
    answer = await sandbox.say(ask(stream=stream, tool_calls=wanted))
    assert calls(answer) == [("a", {"x": 1}), ("b", {})]
    assert len({part.tool_call.call_id for part in answer.candidates()[0].message.parts}) == 2


async def test_a_scripted_call_may_be_no_json(sandbox: Sandbox) -> None:
    answer = await sandbox.say(ask(tool_calls=[{"name": "a", "arguments": "{not json"}]))
    (part,) = answer.candidates()[0].message.parts
    assert part.tool_call.arguments_json == "{not json"
    assert part.tool_call.state == content_pb2.TOOL_CALL_STATE_INVALID


# JSON.


@BOTH_WAYS
async def test_json_meets_the_schema(sandbox: Sandbox, stream: bool) -> None:
    answer = await sandbox.say(ask("json", stream=stream, more=shaped(CITY)))
    assert json.loads(said(answer)) == {"city": "text", "days": 2}


async def test_json_wrong_breaks_it(sandbox: Sandbox) -> None:
    assert said(await sandbox.say(ask("json-wrong", more=shaped(CITY)))) == "[]"
    assert said(await sandbox.say(ask("json-wrong", more=shaped({"type": "array"})))) == "{}"


async def test_json_wrong_once_is_right_when_shown_its_answer(sandbox: Sandbox) -> None:
    asked = ask("json-wrong-once", more=shaped(CITY))
    assert said(await sandbox.say(asked)) == "[]"
    asked.input.messages.append(message(content_pb2.ROLE_ASSISTANT, "[]"))
    asked.input.messages.append(message(content_pb2.ROLE_USER, "that is no object"))
    assert jsonschema_rs.is_valid(CITY, json.loads(said(await sandbox.say(asked))))


SCHEMAS: list[Any] = [
    True,
    {},
    {"const": 7},
    {"enum": ["b", "a"]},
    {"type": ["null", "string"]},
    {"type": "null"},
    {"type": "boolean"},
    {"type": "number"},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.1},
    {"type": "number", "maximum": -3},
    {"type": "number", "minimum": 5, "maximum": 5},
    {"type": "number", "multipleOf": 0.5, "exclusiveMinimum": 1},
    {"type": "integer", "exclusiveMinimum": 3, "multipleOf": 4},
    {"type": "integer", "maximum": -7},
    {"type": "integer", "exclusiveMaximum": 10, "multipleOf": 5},
    {"type": "integer", "minimum": 9007199254740993},
    {"type": "string", "minLength": 12},
    {"type": "string", "maxLength": 2},
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "email"},
    {"type": "string", "format": "uuid"},
    {"type": "array", "items": {"type": "integer"}, "minItems": 3},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "null"}], "items": False},
    {"type": "array", "maxItems": 0, "items": {"type": "string"}},
    {"type": "object", "required": ["x"]},
    {"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}},
    {"allOf": [CITY, {"properties": {"more": {"type": "boolean"}}, "required": ["more"]}]},
    {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                },
                "required": ["name", "children"],
                "additionalProperties": False,
            }
        },
        "$ref": "#/$defs/node",
    },
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:60])
def test_samples_meet_their_schema(schema: Any) -> None:
    validator = jsonschema_rs.validator_for(schema, validate_formats=True)
    validator.validate(sample(schema))
    assert sample(schema) == sample(schema)


BOUNDS = st.integers(-(10**6), 10**6)


@given(
    low=BOUNDS,
    width=st.integers(1, 1000),
    step=st.integers(1, 50),
    open_=st.sampled_from(["minimum", "exclusiveMinimum"]),
)
def test_integers_lie_within_their_bounds(low: int, width: int, step: int, open_: str) -> None:
    schema = {"type": "integer", open_: low, "maximum": low + width + step, "multipleOf": step}
    jsonschema_rs.validate(schema, sample(schema))


ENDLESS_REFERENCE = {"$defs": {"a": {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/$defs/a"}}}}}
TWINS = {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}}


@pytest.mark.parametrize(
    "schema",
    [
        {**ENDLESS_REFERENCE, "$ref": "#/$defs/a"},
        {**TWINS, "$ref": "#/$defs/a"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "https://example.com/schema"},
        {"type": "array", "minItems": 10**12, "items": {"type": "string"}},
        {"type": "string", "minLength": 10**12},
        {"type": "integer", "minimum": "much"},
        {"type": "colour"},
        {"properties": ["a"]},
        {"anyOf": 3},
    ],
    ids=lambda schema: json.dumps(schema)[:60],
)
def test_impossible_schemas_are_refused(schema: Any) -> None:
    with pytest.raises(Refusal):
        sample(schema)


async def test_an_impossible_schema_is_an_invalid_request(sandbox: Sandbox) -> None:
    failure = await sandbox.fail(ask("json", more=shaped({"type": "colour"})))
    assert (failure.kind, failure.http_status) == (FailureKind.INVALID, 400)


# Usage that is told.


@BOTH_WAYS
async def test_usage_is_reported_as_told(sandbox: Sandbox, stream: bool) -> None:
    told = {"input_tokens": 100, "output_tokens": 50, "cached_input_tokens": 40, "reasoning_output_tokens": 10}
    assert usage(await sandbox.say(ask(stream=stream, usage=told))) == (100, 50, 40, 10)
    assert usage(await sandbox.say(ask(stream=stream, usage={"cached_input_tokens": 1}))) == (3, 3, 1, 0)
    assert usage(await sandbox.say(ask(stream=stream, usage={"output_tokens": -5})))[1] == 0


@BOTH_WAYS
async def test_usage_may_be_missing(sandbox: Sandbox, stream: bool) -> None:
    answer = await sandbox.say(ask(stream=stream, usage=None))
    assert (said(answer), answer.usage) == ("one two three", None)


async def test_the_finish_reason_may_be_told(sandbox: Sandbox) -> None:
    answer = await sandbox.say(ask(finish_reason="content_filter"))
    assert finish(answer) == chat_pb2.FINISH_REASON_CONTENT_FILTER


# Pauses.


async def test_a_stream_keeps_the_pace(sandbox: Sandbox) -> None:
    await sandbox.say(ask(head_ms=500, first_token_ms=300, pace_ms=20))
    assert sandbox.clock.pauses == [0.5, 0.3, 0.02, 0.02]


async def test_a_whole_answer_takes_as_long(sandbox: Sandbox) -> None:
    await sandbox.say(ask("slow", stream=False))
    assert sandbox.clock.pauses == [2.6]


@pytest.mark.parametrize(
    ("script", "kind", "before"),
    [
        ({"head_ms": 86_400_000}, FailureKind.AMBIGUOUS, ""),
        ({"stall_after": 0}, FailureKind.TIMEOUT_IDLE, ""),
        ({"first_token_ms": 300_000}, FailureKind.TIMEOUT_IDLE, ""),
        ({"stall_after": 2}, FailureKind.TIMEOUT_IDLE, "one two"),
    ],
)
async def test_silence_ends_with_the_patience_of_the_client(
    sandbox: Sandbox, script: dict[str, Any], kind: FailureKind, before: str
) -> None:
    failure = await sandbox.fail(ask(**script))
    assert (failure.kind, failure.__notes__) == (kind, [before])
    assert sandbox.clock.pauses == [300.0]


@BOTH_WAYS
async def test_cancelling_a_stalled_call_returns_at_once(stream: bool) -> None:
    stalled = asyncio.Event()

    async def sleep(pause_s: float) -> None:
        if pause_s:
            stalled.set()
        await asyncio.sleep(pause_s)

    sandbox = Sandbox()
    sandbox.upstream = Upstream(SANDBOX, SandboxTransport(sleep=sleep))
    async with asyncio.timeout(5):
        call = asyncio.create_task(sandbox.say(ask("stall", stream=stream)))
        await stalled.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


# Failures.


@BOTH_WAYS
@pytest.mark.parametrize(
    ("asked", "kind", "status"),
    [
        (ask("down"), FailureKind.TRANSIENT, 500),
        (ask("throttled"), FailureKind.THROTTLED, 429),
        (ask("overloaded"), FailureKind.THROTTLED, 529),
        (ask("missing"), FailureKind.MODEL_UNKNOWN, 404),
        (ask(status=400), FailureKind.INVALID, 400),
        (ask(status=401), FailureKind.AUTH, 401),
        (ask(status=403), FailureKind.AUTH, 403),
        (ask(status=503, retry_after="7"), FailureKind.THROTTLED, 503),
        (ask(status=429, code="insufficient_quota"), FailureKind.QUOTA, 429),
        (ask(status=400, code="context_length_exceeded"), FailureKind.CONTEXT_TOO_LONG, 400),
        (ask(redirect="http://169.254.169.254/"), FailureKind.BROKEN, 307),
        (ask(unreachable=True), FailureKind.NEVER_SENT, 0),
        (ask(n=17), FailureKind.INVALID, 400),
        (ask(tokens=-1), FailureKind.INVALID, 400),
        (ask(status=7), FailureKind.INVALID, 400),
        (ask(retry_after="1\r\nx: y"), FailureKind.INVALID, 400),
    ],
    ids=lambda value: json.dumps(value.options) + value.model if isinstance(value, Ask) else str(value),
)
async def test_failures_before_an_answer(
    sandbox: Sandbox, asked: Ask, kind: FailureKind, status: int, stream: bool
) -> None:
    asked.stream = stream
    failure = await sandbox.fail(asked)
    assert (failure.kind, failure.http_status) == (kind, status)


async def test_retry_after_is_told(sandbox: Sandbox) -> None:
    assert (await sandbox.fail(ask("throttled"))).retry_after_s == 1
    assert (await sandbox.fail(ask(status=429, retry_after="abc"))).retry_after_s is None


@BOTH_WAYS
@pytest.mark.parametrize("malformed", ["json", "types", "html", "utf8", "empty"])
async def test_malformed_bodies_are_broken(sandbox: Sandbox, malformed: str, stream: bool) -> None:
    assert (await sandbox.fail(ask(stream=stream, malformed=malformed))).kind == FailureKind.BROKEN


@pytest.mark.parametrize(
    ("asked", "kind", "before"),
    [
        (ask("cut"), FailureKind.INTERRUPTED, "lorem ipsum dolor"),
        (ask(cut_after=0), FailureKind.BROKEN, ""),
        (ask(reset_after=1), FailureKind.INTERRUPTED, "one"),
        (ask(reset_after=0), FailureKind.INTERRUPTED, ""),
        (ask(error_in_stream=2), FailureKind.TRANSIENT, "one two"),
        (ask(error_in_stream=3, code="rate_limit_exceeded"), FailureKind.THROTTLED, "one two three"),
        (ask(reset_after=1, cut_after=2), FailureKind.INTERRUPTED, "one"),
        (ask("broken"), FailureKind.BROKEN, ""),
    ],
)
async def test_failures_in_a_stream(sandbox: Sandbox, asked: Ask, kind: FailureKind, before: str) -> None:
    failure = await sandbox.fail(asked)
    assert (failure.kind, failure.__notes__) == (kind, [before])


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (ask("cut", stream=False), FailureKind.BROKEN),
        (ask(stream=False, reset_after=1), FailureKind.INTERRUPTED),
        (ask(stream=False, error_in_stream=1), FailureKind.TRANSIENT),
        (ask(stream=False, stall_after=1), FailureKind.TIMEOUT_IDLE),
    ],
)
async def test_failures_in_a_whole_answer(sandbox: Sandbox, asked: Ask, kind: FailureKind) -> None:
    assert (await sandbox.fail(asked)).kind == kind


@BOTH_WAYS
async def test_a_break_after_the_last_word_never_comes(sandbox: Sandbox, stream: bool) -> None:
    assert said(await sandbox.say(ask(stream=stream, cut_after=4))) == "one two three"


@BOTH_WAYS
async def test_large_bodies_are_whole_until_the_cap(stream: bool) -> None:
    sandbox = Sandbox(settings=ClientSettings(body_bytes_max=1 << 20))
    assert said(await sandbox.say(ask(stream=stream, big_body=900_000))) == "one two three"
    assert (await sandbox.fail(ask(stream=stream, big_body=1 << 20))).kind == FailureKind.BROKEN


@BOTH_WAYS
async def test_endless_goes_on_beyond_the_cap(stream: bool) -> None:
    sandbox = Sandbox(settings=ClientSettings(body_bytes_max=1 << 18))
    failure = await sandbox.fail(ask(stream=stream, cap=2, endless=True))
    assert failure.kind == FailureKind.BROKEN
    assert failure.__notes__[0].startswith("one two three and one two" if stream else "")


# Failing for a while.


async def test_flaky_fails_once_for_each_question(sandbox: Sandbox) -> None:
    for _ in range(2):
        assert (await sandbox.fail(ask("flaky"))).kind == FailureKind.TRANSIENT
        assert said(await sandbox.say(ask("flaky"))) == "one two three"


async def test_a_key_heals_for_good(sandbox: Sandbox) -> None:
    script: dict[str, Any] = {"status": 503, "times": 2, "key": "test-1"}
    for text in ("a", "b"):
        assert (await sandbox.fail(ask(text=text, **script))).kind == FailureKind.TRANSIENT
    for text in ("c", "d", "e"):
        assert said(await sandbox.say(ask(text=text, **script))) == text
    assert (await sandbox.fail(ask(**{**script, "key": "test-2"}))).http_status == 503


@pytest.mark.parametrize(
    "trouble", [{"cut_after": 1}, {"malformed": "json"}, {"stall_after": 1}, {"unreachable": True}]
)
async def test_every_trouble_can_pass(sandbox: Sandbox, trouble: dict[str, Any]) -> None:
    await sandbox.fail(ask(times=1, **trouble))
    assert said(await sandbox.say(ask(times=1, **trouble))) == "one two three"


# The door.


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ({"usage": {"input_tokens": 10**30}}, 400),
        ({"usage": {"inputTokens": 1}}, 400),
        ({"json": 10**30}, 200),
        ({"text": "\u0000", "finish_reason": "\u0000", "code": "\u0000"}, 200),
        ({"status": 429, "code": "\u0000"}, 429),
        ({"tool_calls": [{"name": "", "arguments": {"a": 10**30}}]}, 200),
        ({"tokens": 1.5}, 400),
        ({"answer": "sing"}, 400),
    ],
)
async def test_no_script_breaks_the_sandbox(sandbox: Sandbox, script: dict[str, object], status: int) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}], "script": script}
    for stream in (True, False):
        request = HttpRequest("POST", "/chat/completions", body=json.dumps({**body, "stream": stream}).encode())
        assert (await raw(sandbox.transport, request))[0] == status


@pytest.mark.parametrize("depth", range(0, 1200, 50))
async def test_deeply_nested_answers_are_spelled_or_refused(sandbox: Sandbox, depth: int) -> None:
    body = b'{"model": "echo", "messages": [{"role": "user"}], "script": {"json": %b}}' % (b"[" * depth + b"]" * depth)
    body = body.replace(b": }", b": 1}")
    status, _ = await raw(sandbox.transport, HttpRequest("POST", "/chat/completions", body=body))
    assert status in (200, 400)


@BOTH_WAYS
async def test_the_same_question_gets_the_same_bytes(stream: bool) -> None:
    request = SANDBOX.wire.encode_chat(ask("tools", stream=stream, more=offering()))
    assert await raw(SandboxTransport(), request) == await raw(SandboxTransport(), request)


async def test_unknown_script_keys_are_refused_by_name(sandbox: Sandbox) -> None:
    status, body = await raw(sandbox.transport, SANDBOX.wire.encode_chat(ask(tokenz=1)))
    assert status == 400
    assert json.loads(body)["error"] == {
        "message": "script: Object contains unknown field `tokenz`",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_script",
    }


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{", b"\xff"),
        b'{"model": "echo"}',
        b'{"model": "echo", "messages": []}',
        b'{"model": "echo", "messages": [7]}',
        b'{"model": "echo", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model": "echo", "messages": %b' % (b"[" * 100_000),
    ],
)
async def test_bodies_that_are_no_question_are_refused(sandbox: Sandbox, body: bytes) -> None:
    status, answer = await raw(sandbox.transport, HttpRequest("POST", "/chat/completions", body=body))
    assert (status, json.loads(answer)["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(("method", "path"), [("GET", "/chat/completions"), ("POST", "/fine-tunes"), ("GET", "/")])
async def test_other_paths_are_not_found(sandbox: Sandbox, method: str, path: str) -> None:
    status, body = await raw(sandbox.transport, HttpRequest(method, path))
    assert (status, json.loads(body)["error"]["code"]) == (404, "not_found")


async def test_it_lists_its_models(sandbox: Sandbox) -> None:
    assert [each.name for each in await sandbox.upstream.models()] == [*MODELS, *worked()]


async def test_header_names_are_found_in_any_case(sandbox: Sandbox) -> None:
    async with sandbox.transport.open(SANDBOX.wire.encode_chat(ask("throttled"))) as response:
        assert response.headers["Retry-After"] == response.headers.get("retry-after") == "1"
        assert set(response.headers) == {"content-type", "retry-after"}


async def test_keys_are_forgotten_in_time(sandbox: Sandbox) -> None:
    sandbox.transport._failures.update({f"old-{number}": 1 for number in range(10_000)})
    await sandbox.fail(ask("flaky"))
    assert len(sandbox.transport._failures) == 10_000


@given(st.text(alphabet=st.sampled_from(" \n\tab\u00a0\u2028é😀"), max_size=40))
def test_words_put_together_are_the_text(text: str) -> None:
    words = words_of(text)
    assert "".join(words) == text
    assert len(words) == max(len(text.split()), 1 if text else 0)


def test_every_model_has_a_price() -> None:
    rows = json.loads(files("trunkline_server.data").joinpath("sandbox.json").read_text())
    assert {row["model"] for row in rows} == {*MODELS, *worked()}


def worked() -> list[str]:
    """The models that do something else than chat."""
    return [model for workshop in WORKSHOPS.values() for model in workshop.models]
