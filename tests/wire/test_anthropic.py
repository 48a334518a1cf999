"""The Messages dialect: answers read however they are cut, failures told apart."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.anthropic import OLD, WIRE, asked, block, turns
from tests.wire.parts import (
    ASSISTANT,
    USER,
    says,
    text,
)
from tests.wire.recorded import pieces, read
from trunkline.v1 import chat_pb2, content_pb2, usage_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.failure import FailureKind, UpstreamFailure


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
