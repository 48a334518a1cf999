"""The sandbox behind the real wire: what its models say, and which questions it takes."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.sandbox import (
    BOTH_WAYS,
    Sandbox,
    ask,
    calls,
    finish,
    message,
    offering,
    raw,
    said,
    usage,
)
from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.providers.sandbox import SANDBOX, SandboxTransport
from trunkline_server.providers.sandbox.script import MODELS
from trunkline_server.providers.sandbox.speech import words_of
from trunkline_server.providers.sandbox.transport import WORKSHOPS
from trunkline_server.wire.http import HttpRequest


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
