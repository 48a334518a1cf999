"""Answers and failures; what goes out is in `test_cohere_encode.py`. The bodies are ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.recorded import pieces, read
from trunkline.v1 import chat_pb2, usage_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.cohere import Cohere
from trunkline_server.wire.dialect import Wire

WIRE = Cohere()
Json = dict[str, Any]


def event(kind: str, message: Json | None = None, *, name: bool = True, **more: Any) -> bytes:
    data = {"type": kind, **more, **({} if message is None else {"delta": {"message": message}})}
    head = f"event: {kind}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def ending(finish: str | None = "COMPLETE", **more: Any) -> bytes:
    return event("message-end", delta={"finish_reason": finish, **more}) + DONE


def block(index: int, kind: str, *words: str, **more: Any) -> bytes:
    start = event("content-start", {"content": {"type": kind, kind: ""}}, index=index)
    deltas = [event("content-delta", {"content": {kind: word}}, index=index, **more) for word in words]
    return b"".join([start, *deltas, event("content-end", index=index)])


def call(index: int, call_id: str, name: str, *fragments: str) -> bytes:
    first = {"id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
    grown = [{"function": {"arguments": each}} for each in fragments]
    events = [event("tool-call-start", {"tool_calls": first}, index=index)]
    events += [event("tool-call-delta", {"tool_calls": each}, index=index) for each in grown]
    return b"".join([*events, event("tool-call-end", index=index)])


DONE = b"data: [DONE]\n\n"
START = event("message-start", {"role": "assistant", "content": [], "tool_calls": []}, id="c-1")
USAGE = {
    "billed_units": {"input_tokens": 20, "output_tokens": 12, "search_units": 2},
    "tokens": {"input_tokens": 500, "output_tokens": 15, "reasoning_tokens": 5},
    "cached_tokens": 448,
}
CITATION = {
    "start": 6,
    "end": 11,
    "text": "wörld",
    "sources": [
        {"type": "document", "id": "d", "document": {"title": "Atlas", "text": "A world.", "url": "https://a"}},
        {"type": "tool", "id": "t", "tool_output": {"n": 1}},
    ],
    "type": "TEXT_CONTENT",
    "content_index": 1,
}
THOUGHT = {**CITATION, "type": "THINKING_CONTENT", "content_index": 0}
STREAM = b"".join(
    [
        b": a comment\n\n",
        START,
        event("tool-plan-delta", {"tool_plan": "I will "}),
        event("tool-plan-delta", {"tool_plan": "look"}),
        block(0, "thinking", "Hm ", "ä"),
        event("citation-start", {"citations": THOUGHT}, index=0),
        block(1, "text", "Hello ", "wörld 😀"),
        event("citation-start", {"citations": CITATION}, index=1),
        event("citation-end", index=1),
        event("news", {"any": "thing"}),
        call(0, "call_a", "weather", '{"city":', '"Köln"}'),
        call(1, "call_b", "time"),
        ending("TOOL_CALL", usage=USAGE),
    ]
)
MESSAGE = {
    "role": "assistant",
    "tool_plan": "I will look",
    "content": [{"type": "thinking", "thinking": "Hm ä"}, {"type": "text", "text": "Hello wörld 😀"}],
    "citations": [THOUGHT, CITATION],
    "tool_calls": [
        {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Köln"}'}},
        {"id": "call_b", "type": "function", "function": {"name": "time", "arguments": ""}},
    ],
}


def whole(message: Any = None, finish: str | None = "COMPLETE", **more: Any) -> bytes:
    return json.dumps({"id": "c-1", "message": message, "finish_reason": finish, **more}).encode()


BODY = whole(MESSAGE, "TOOL_CALL", usage=USAGE)


def answer_to(*parts: bytes, content_type: str = "text/event-stream", streaming: bool = True) -> Answer:
    ask = Ask("cohere", "command-x", chat_pb2.ChatInput(), stream=True)
    return read(lambda answer: WIRE.decode_chat(ask, answer, content_type), parts, streaming=streaming)


def body_to(*parts: bytes) -> Answer:
    return answer_to(*parts, content_type="application/json; charset=utf-8")


def failure_of(*parts: bytes, **more: Any) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as failed:
        answer_to(*parts, **more)
    return failed.value


class TestAnswers:
    def test_a_stream(self) -> None:
        answer = answer_to(STREAM)
        (candidate,) = answer.candidates()
        plan, thoughts, text, weather, clock, aside = candidate.message.parts
        assert (plan.reasoning.text, plan.provider_state.data) == ("I will look", b"tool_plan")
        assert (thoughts.reasoning.text, thoughts.HasField("provider_state")) == ("Hm ä", False)
        assert text.text.text == "Hello wörld 😀"
        assert (weather.tool_call.call_id, weather.tool_call.arguments_json) == ("call_a", '{"city":"Köln"}')
        assert (clock.tool_call.name, clock.tool_call.arguments_json) == ("time", "{}")
        assert (aside.opaque.type, json.loads(aside.opaque.json)) == ("citation", THOUGHT)
        assert candidate.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS
        assert candidate.provider_finish_reason == "TOOL_CALL"
        assert (answer.response_id, answer.model) == ("c-1", "command-x")

    def test_streamed_and_whole_are_the_same(self) -> None:
        streamed, told = answer_to(STREAM), body_to(b"\n \n", BODY)
        for answer in (streamed, told):
            for part in answer.candidates()[0].message.parts:
                for citation in part.text.citations:
                    assert json.loads(citation.provider_json) == CITATION
        assert _plain(streamed) == _plain(told)
        assert streamed.usage == told.usage

    @given(st.lists(st.integers(0, len(STREAM))))
    def test_a_stream_may_be_cut_anywhere(self, positions: list[int]) -> None:
        assert answer_to(*pieces(STREAM, positions)).candidates() == answer_to(STREAM).candidates()

    @given(st.lists(st.integers(0, len(STREAM))))
    def test_lines_may_end_with_crlf(self, positions: list[int]) -> None:
        body = STREAM.replace(b"\n", b"\r\n")
        assert answer_to(*pieces(body, positions)).candidates() == answer_to(STREAM).candidates()

    def test_events_may_come_without_a_name(self) -> None:
        body = b"".join(line + b"\n" for line in STREAM.split(b"\n") if not line.startswith(b"event:"))
        assert answer_to(body).candidates() == answer_to(STREAM).candidates()

    def test_usage_is_what_is_billed(self) -> None:
        usage = usage_pb2.Usage(
            input_tokens=20,
            output_tokens=12,
            reasoning_output_tokens=5,
            unit_counts={"searches": 2},
            source=usage_pb2.USAGE_SOURCE_PROVIDER,
        )
        assert answer_to(STREAM).usage == usage

    def test_tokens_count_where_nothing_is_billed_by_name(self) -> None:
        usage = answer_to(START, ending(usage={"tokens": {"input_tokens": 3, "output_tokens": -1}})).usage
        assert usage
        assert (usage.input_tokens, usage.output_tokens) == (3, 0)

    def test_no_usage(self) -> None:
        assert answer_to(START, block(0, "text", "x"), ending(usage={})).usage is None

    def test_a_citation_names_its_first_source(self) -> None:
        (_, _, text, *_) = answer_to(STREAM).candidates()[0].message.parts
        (citation,) = text.text.citations
        assert (citation.title, citation.uri, citation.cited_text) == ("Atlas", "https://a", "A world.")
        assert (citation.start_index, citation.end_index) == (6, 11)

    @pytest.mark.parametrize("sources", [None, [], [{"document": 7}], [{"document": {"title": 1, "text": None}}]])
    def test_a_source_may_say_anything(self, sources: Any) -> None:
        answer = answer_to(
            START, block(0, "text", "x"), event("citation-start", {"citations": {"sources": sources}}), ending()
        )
        (part,) = answer.candidates()[0].message.parts
        assert (part.text.text, part.text.citations[0].title) == ("x", "")

    def test_a_citation_without_a_place_belongs_to_the_last_text(self) -> None:
        placeless = {key: value for key, value in CITATION.items() if key != "content_index"}
        told = body_to(whole({"content": [{"type": "text", "text": "x"}], "citations": [placeless]}))
        nothing = event("citation-start", {"citations": None})
        cited = event("citation-start", {"citations": placeless})
        streamed = answer_to(START, block(0, "text", "x"), nothing, cited, ending())
        (part,) = told.candidates()[0].message.parts
        assert (part.text.text, len(part.text.citations)) == ("x", 1)
        assert _plain(told) == _plain(streamed)

    def test_a_block_of_another_kind_is_kept(self) -> None:
        image = {"type": "image", "image": {"n": 12345678901234567890}}
        streamed = answer_to(START, event("content-start", {"content": image}), ending())
        (part,) = streamed.candidates()[0].message.parts
        assert (part.opaque.provider, part.opaque.type, json.loads(part.opaque.json)) == ("cohere", "image", image)
        assert body_to(whole({"content": [image]})).candidates() == streamed.candidates()

    def test_probabilities(self) -> None:
        logprobs = {"token_ids": [1, 2], "text": "Hi", "logprobs": [-0.5, -0.25]}
        for answer in (
            answer_to(START, block(0, "text", "Hi", logprobs=logprobs), ending()),
            body_to(whole({"content": [{"type": "text", "text": "Hi"}]}, logprobs=[logprobs])),
        ):
            (likely,) = answer.candidates()[0].logprobs
            assert (likely.token, likely.logprob) == ("Hi", -0.75)

    def test_content_may_be_a_string_or_nothing(self) -> None:
        assert body_to(whole({"content": "x"})).candidates()[0].message.parts[0].text.text == "x"
        assert not body_to(whole({"content": None})).candidates()[0].message.parts

    @pytest.mark.parametrize(
        ("word", "reason"),
        [
            ("COMPLETE", chat_pb2.FINISH_REASON_STOP),
            ("STOP_SEQUENCE", chat_pb2.FINISH_REASON_STOP_SEQUENCE),
            ("MAX_TOKENS", chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS),
            ("ERROR_TOXIC", chat_pb2.FINISH_REASON_CONTENT_FILTER),
            ("NEW", chat_pb2.FINISH_REASON_OTHER),
            (None, chat_pb2.FINISH_REASON_STOP),
        ],
    )
    def test_finish_reasons(self, word: str | None, reason: int) -> None:
        (candidate,) = answer_to(START, block(0, "text", "x"), ending(word)).candidates()
        assert (candidate.finish_reason, candidate.provider_finish_reason) == (reason, word or "")

    def test_a_call_may_take_the_place_of_another(self) -> None:
        begun = call(0, "a", "f", '{"n":1}').replace(b"tool-call-end", b"news")
        first, second = answer_to(START, begun, call(0, "b", "g"), ending("TOOL_CALL")).candidates()[0].message.parts
        assert (first.tool_call.arguments_json, second.tool_call.name) == ('{"n":1}', "g")

    def test_a_missing_reason_is_found_in_the_content(self) -> None:
        (candidate,) = answer_to(START, call(0, "a", "f"), ending(None)).candidates()
        assert candidate.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS


def _plain(answer: Answer) -> list[chat_pb2.Candidate]:
    """Without the provider's own text of citations: whole bodies and streams have other spaces in it."""
    candidates = answer.candidates()
    for part in candidates[0].message.parts:
        part.opaque.json = ""
        for citation in part.text.citations:
            citation.provider_json = ""
    return candidates


class TestFailures:
    @pytest.mark.parametrize(
        ("parts", "kind"),
        [
            ((), FailureKind.BROKEN),
            ((START,), FailureKind.BROKEN),
            ((START, DONE), FailureKind.BROKEN),
            ((START, block(0, "text", "x")), FailureKind.INTERRUPTED),
            ((START, block(0, "text", "x"), DONE), FailureKind.INTERRUPTED),
            ((START, b"event: content-delta\ndata: {\n\n"), FailureKind.BROKEN),
            ((START, b"data: {\n\n"), FailureKind.BROKEN),
            ((START, event("content-delta", {"content": {"text": 7}})), FailureKind.BROKEN),
            ((START, b"event: content-delta\ndata: " + b"[" * 9999 + b"\n\n"), FailureKind.BROKEN),
            ((START, event("tool-call-start", {"tool_calls": {"id": "a"}})), FailureKind.BROKEN),
            ((START, event("tool-call-delta", {"tool_calls": {"function": {"arguments": "{"}}})), FailureKind.BROKEN),
            ((START, ending(), block(0, "text", "late")), FailureKind.BROKEN),
            ((START, ending("ERROR")), FailureKind.TRANSIENT),
            ((START, ending("TIMEOUT")), FailureKind.TRANSIENT),
            ((START, ending("ERROR", error="x", error_type="INVALID_TOOL_GENERATION")), FailureKind.BROKEN),
            ((START, ending(None, error="too many tokens: 9")), FailureKind.CONTEXT_TOO_LONG),
            ((START, b'event: error\ndata: {"message":"rate limit exceeded"}\n\n'), FailureKind.THROTTLED),
        ],
    )
    def test_streams(self, parts: tuple[bytes, ...], kind: FailureKind) -> None:
        assert failure_of(*parts).kind is kind

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (b"", FailureKind.BROKEN),
            (b"<html>", FailureKind.BROKEN),
            (b"{}", FailureKind.BROKEN),
            (b"[]", FailureKind.BROKEN),
            (whole({"content": [{"text": "\ud800"}]}, "ERROR").replace(b"d800", b"dXXX"), FailureKind.BROKEN),
            (whole(None, None), FailureKind.BROKEN),
            (whole(None, "ERROR"), FailureKind.TRANSIENT),
            (whole({"content": []}, "ERROR", error_type="INVALID_TOOL_GENERATION"), FailureKind.BROKEN),
            (whole("invalid api token"), FailureKind.AUTH),
        ],
    )
    def test_bodies(self, body: bytes, kind: FailureKind) -> None:
        assert failure_of(body, content_type="application/json").kind is kind

    @pytest.mark.parametrize("content_type", ["text/html", "", "application/x-ndjson"])
    def test_other_kinds_of_body(self, content_type: str) -> None:
        assert failure_of(STREAM, content_type=content_type).kind is FailureKind.BROKEN

    @pytest.mark.parametrize(
        ("status", "message", "kind"),
        [
            (401, "invalid api token", FailureKind.AUTH),
            (400, "no api key supplied", FailureKind.AUTH),
            (402, "Please add a payment method", FailureKind.QUOTA),
            (404, "model 'x' not found, make sure the correct model ID was used", FailureKind.MODEL_UNKNOWN),
            (404, "model 'x' was removed on January 1, 2026", FailureKind.MODEL_UNKNOWN),
            (404, "page not found", FailureKind.MODEL_UNKNOWN),
            (400, "too many tokens: size limit exceeded by 9 tokens", FailureKind.CONTEXT_TOO_LONG),
            (400, "too many tokens: max tokens must be less than or equal to 4096", FailureKind.INVALID),
            (422, "invalid request: list of documents must not be empty", FailureKind.INVALID),
            (429, "trial key, which is limited to 1000 API calls / month.", FailureKind.QUOTA),
            (429, "trial key, which is limited to 40 API calls / minute.", FailureKind.THROTTLED),
            (498, "blocked", FailureKind.FILTERED),
            (499, "request cancelled", FailureKind.TRANSIENT),
            (500, "internal", FailureKind.TRANSIENT),
        ],
    )
    def test_errors(self, status: int, message: str, kind: FailureKind) -> None:
        failure = WIRE.failure(status, {}, json.dumps({"id": "1", "message": message}).encode())
        assert (failure.kind, failure.http_status) == (kind, status)
        assert message not in str(failure)

    def test_a_word_wins(self) -> None:
        failure = WIRE.failure(400, {}, b'{"error_type":"TOO_MANY_TOKENS","message":"too many tokens: x"}')
        assert (failure.kind, failure.code) == (FailureKind.CONTEXT_TOO_LONG, "TOO_MANY_TOKENS")

    @given(st.binary() | st.sampled_from([b"null", b"[1]", b'{"message":{}}', b"[" * 9999]))
    def test_any_bytes(self, body: bytes) -> None:
        assert WIRE.failure(503, {"retry-after": "7"}, body).retry_after_s == 7


class TestModels:
    def test_the_question(self) -> None:
        request = WIRE.encode_models()
        assert (request.method, request.path.partition("?")[0]) == ("GET", "/v1/models")

    def test_the_answer(self) -> None:
        models = [
            {"name": "a", "endpoints": ["chat"]},
            {"name": "b"},
            {"name": "c", "endpoints": ["embed", "classify"]},
        ]
        models += [{"name": "d", "endpoints": ["rerank"]}, {"name": "e", "endpoints": ["summarize"]}]
        assert [each.name for each in WIRE.decode_models(json.dumps({"models": models}).encode())] == [
            "a",
            "b",
            "c",
            "d",
        ]

    def test_a_broken_answer(self) -> None:
        with pytest.raises(UpstreamFailure):
            WIRE.decode_models(b'{"data":[]}')


def test_it_is_a_wire() -> None:
    assert isinstance(WIRE, Wire)
    assert WIRE.encode_count(Ask("cohere", "x", chat_pb2.ChatInput(), stream=False)) is None
    with pytest.raises(UpstreamFailure):
        WIRE.decode_count(b"{}")
