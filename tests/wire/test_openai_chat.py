"""Answers and failures; what goes out is in `test_openai_chat_encode.py`. The bodies are ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.recorded import pieces, read
from trunkline.v1 import chat_pb2, content_pb2, usage_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.openai_chat import OpenAIChat

WIRE = OpenAIChat()


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": finish}]
    body = {"id": "chatcmpl-1", "model": "gpt-x-1", "choices": choices, **more}
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def tool(index: int | None, arguments: str | None = None, **first: Any) -> dict[str, Any]:
    function = {
        key: value
        for key, value in {"name": first.pop("name", None), "arguments": arguments}.items()
        if value is not None
    }
    call = {"index": index, **first, "function": function}
    return {"tool_calls": [{key: value for key, value in call.items() if value is not None}]}


def whole(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return json.dumps({"id": "chatcmpl-1", "model": "gpt-x-1", "choices": [choice], **more}).encode()


DONE = b"data: [DONE]\n\n"
USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
STREAM = b"".join(
    [
        b": a comment\n\n",
        chunk({"role": "assistant", "content": "", "refusal": None}, usage=None),
        chunk({"reasoning_content": "Hm ä"}),
        chunk({"content": "Hello "}),
        chunk({"content": "wörld 😀"}, obfuscation="abc"),
        chunk(tool(0, "", id="call_a", type="function", name="weather")),
        chunk(tool(1, "", id="call_b", type="function", name="time")),
        chunk(tool(1, '{"zone":')),
        chunk(tool(0, '{"city":"Köln"}')),
        chunk(tool(1, '"CET"}')),
        chunk({}, "tool_calls", usage=None),
        chunk(usage=USAGE),
        DONE,
    ]
)
BODY = whole(
    {
        "reasoning_content": "Hm ä",
        "content": "Hello wörld 😀",
        "tool_calls": [
            {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Köln"}'}},
            {"id": "call_b", "type": "function", "function": {"name": "time", "arguments": '{"zone":"CET"}'}},
        ],
    },
    "tool_calls",
    usage=USAGE,
)


def answer_to(
    *parts: bytes,
    content_type: str = "text/event-stream",
    streaming: bool = True,
    wire: OpenAIChat = WIRE,
    **question: Any,
) -> Answer:
    ask = Ask("openai", "gpt-x", chat_pb2.ChatInput(**question), stream=True)
    return read(lambda answer: wire.decode_chat(ask, answer, content_type), parts, streaming=streaming)


def body_to(*parts: bytes, **more: Any) -> Answer:
    return answer_to(*parts, content_type="application/json; charset=utf-8", **more)


def kinds(answer: Answer) -> list[str | None]:
    return [part.WhichOneof("kind") for part in answer.candidates()[0].message.parts]


def failure_of(*parts: bytes, **more: Any) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as failed:
        answer_to(*parts, **more)
    return failed.value


class TestAnswers:
    def test_a_stream(self) -> None:
        answer = answer_to(STREAM)
        (candidate,) = answer.candidates()
        reasoning, text, weather, clock = candidate.message.parts
        assert (reasoning.reasoning.text, text.text.text) == ("Hm ä", "Hello wörld 😀")
        assert (weather.tool_call.call_id, weather.tool_call.arguments_json) == ("call_a", '{"city":"Köln"}')
        assert (clock.tool_call.call_id, clock.tool_call.arguments_json) == ("call_b", '{"zone":"CET"}')
        assert (candidate.finish_reason, candidate.provider_finish_reason) == (
            chat_pb2.FINISH_REASON_TOOL_CALLS,
            "tool_calls",
        )
        assert (answer.response_id, answer.model) == ("chatcmpl-1", "gpt-x-1")

    def test_streamed_and_whole_are_the_same(self) -> None:
        streamed, unary = answer_to(STREAM), body_to(BODY)
        assert streamed.candidates() == unary.candidates()
        assert streamed.usage == unary.usage

    @given(st.lists(st.integers(0, len(STREAM))), st.booleans())
    def test_a_stream_may_be_cut_anywhere(self, positions: list[int], crlf: bool) -> None:
        body = STREAM.replace(b"\n", b"\r\n") if crlf else STREAM
        answer = answer_to(*pieces(body, positions))
        assert (answer.candidates(), answer.usage) == (answer_to(STREAM).candidates(), answer_to(STREAM).usage)

    @given(st.lists(st.integers(0, len(BODY))))
    def test_a_body_may_be_cut_anywhere(self, positions: list[int]) -> None:
        assert body_to(*pieces(BODY, positions)).candidates() == answer_to(STREAM).candidates()

    def test_usage_by_class(self) -> None:
        assert answer_to(STREAM).usage == usage_pb2.Usage(
            input_tokens=20,
            cached_input_tokens=8,
            cache_write_input_tokens=4,
            output_tokens=12,
            reasoning_output_tokens=5,
            source=usage_pb2.USAGE_SOURCE_PROVIDER,
        )

    def test_the_last_usage_wins_and_is_not_summed(self) -> None:
        answer = answer_to(
            chunk({"content": "a"}, x_groq={"usage": {"prompt_tokens": 1, "completion_tokens": 1}}),
            chunk({}, "stop", usage={"prompt_tokens": 3, "completion_tokens": -5}),
            chunk(usage={"prompt_tokens": 3, "completion_tokens": 2.0}),
            chunk({"content": ""}, "stop"),
        )
        assert answer.usage == usage_pb2.Usage(input_tokens=3, output_tokens=2, source=usage_pb2.USAGE_SOURCE_PROVIDER)

    def test_sound_in_usage_is_counted_apart(self) -> None:
        told = {"prompt_tokens_details": {"audio_tokens": 30}, "completion_tokens_details": {"audio_tokens": 4}}
        answer = body_to(whole({"content": "a"}, usage={"prompt_tokens": 50, "completion_tokens": 9, **told}))
        assert answer.usage is not None
        assert dict(answer.usage.unit_counts) == {"input_audio": 30, "output_audio": 4}
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (50, 9)

    def test_nonsense_in_usage_is_clamped(self) -> None:
        answer = body_to(whole({"content": "a"}, usage={"prompt_tokens": -1, "completion_tokens": 10**30}))
        assert answer.usage is not None
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (0, 2**63 - 1)

    def test_reasoning_counted_apart_joins_the_output(self) -> None:
        answer = body_to(whole({"content": "a"}, usage=USAGE), wire=OpenAIChat(counts_thoughts_apart=True))
        assert answer.usage is not None
        assert (answer.usage.output_tokens, answer.usage.reasoning_output_tokens) == (17, 5)

    def test_a_body_may_begin_with_white_space(self) -> None:
        assert kinds(body_to(b"\n   \n", b" " * 50, whole({"content": "a"}))) == ["text"]

    def test_candidates_grow_apart(self) -> None:
        answer = answer_to(
            chunk({"content": "a"}, index=0),
            chunk({"content": "b"}, index=1),
            chunk({}, "stop", index=1),
            chunk({"content": "A"}, "length", index=0),
            sampling=chat_pb2.Sampling(candidate_count=2),
        )
        texts = [candidate.message.parts[0].text.text for candidate in answer.candidates()]
        reasons = [candidate.finish_reason for candidate in answer.candidates()]
        assert texts == ["aA", "b"]
        assert reasons == [chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS, chat_pb2.FINISH_REASON_STOP]

    def test_a_filtered_answer_may_have_no_message(self) -> None:
        body = b'{"choices":[{"index":0,"finish_reason":"content_filter","content_filter_results":{}}]}'
        (candidate,) = body_to(body).candidates()
        assert candidate.finish_reason == chat_pb2.FINISH_REASON_CONTENT_FILTER
        assert not candidate.message.parts

    def test_a_refusal_is_told_apart_from_text(self) -> None:
        (candidate,) = body_to(whole({"content": None, "refusal": "No."})).candidates()
        assert candidate.message.parts[0].refusal.text == "No."
        assert (candidate.finish_reason, candidate.provider_finish_reason) == (
            chat_pb2.FINISH_REASON_REFUSAL,
            "stop",
        )

    def test_citations(self) -> None:
        source = {
            "type": "url_citation",
            "url_citation": {"url": "https://a.example", "title": "A", "start_index": 1, "end_index": 4},
        }
        other = {"type": "file_citation", "file_citation": {"file_id": "f"}}
        (part,) = body_to(whole({"content": "text", "annotations": [source, other]})).candidates()[0].message.parts
        first, second = part.text.citations
        assert (first.uri, first.title, first.start_index, first.end_index) == ("https://a.example", "A", 1, 4)
        assert [json.loads(citation.provider_json) for citation in (first, second)] == [source, other]

    def test_logprobs(self) -> None:
        token = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1.5}]}
        answer = answer_to(
            b'data: {"choices":[{"index":0,"delta":{"content":"a"},"logprobs":'
            + json.dumps({"content": [token]}).encode()
            + b',"finish_reason":"stop"}]}\n\n'
        )
        (told,) = answer.candidates()[0].logprobs
        assert (told.token, told.logprob) == ("a", -0.5)
        assert (told.alternatives[0].token, told.alternatives[0].logprob) == ("b", -1.5)

    def test_content_may_be_a_list(self) -> None:
        answer = answer_to(
            chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]}),
            chunk({"content": [{"type": "text", "text": "a"}, {"type": "reference", "reference_ids": [1]}]}),
            chunk({"content": "b"}, "stop"),
        )
        reasoning, text, opaque, more = answer.candidates()[0].message.parts
        assert (reasoning.reasoning.text, text.text.text, more.text.text) == ("Hm", "a", "b")
        assert (opaque.opaque.provider, opaque.opaque.type) == ("openai", "reference")
        assert json.loads(opaque.opaque.json) == {"type": "reference", "reference_ids": [1]}

    def test_blocks_of_thoughts_are_the_state_of_the_part(self) -> None:
        first = {"type": "reasoning.text", "text": "Hm", "index": 0, "signature": None}
        second = {"type": "reasoning.text", "text": "mm", "index": 0, "signature": "sig"}
        cipher = {"type": "reasoning.encrypted", "data": "xyz", "index": 1}
        answer = answer_to(
            chunk({"reasoning": "Hm", "reasoning_details": [first]}),
            chunk({"content": "", "reasoning": "mm", "reasoning_details": [second]}),
            chunk({"content": "a"}),
            chunk({"reasoning_details": [cipher], **tool(0, "{}", id="c", name="f")}),
            chunk({}, "tool_calls"),
        )
        shown, text, hidden, call = answer.candidates()[0].message.parts
        assert (shown.reasoning.text, text.text.text, call.tool_call.name) == ("Hmmm", "a", "f")
        assert json.loads(shown.provider_state.data) == [{**second, "text": "Hmmm"}]
        assert (hidden.reasoning.redacted, json.loads(hidden.provider_state.data)) == (True, [cipher])

    def test_speech_is_one_part(self) -> None:
        answer = answer_to(
            chunk({"audio": {"id": "audio_1", "transcript": "Hel"}}),
            chunk({"audio": {"data": "AAEC", "transcript": "lo"}}),
            chunk({"audio": {"data": "Aw=="}}, "stop"),
        )
        (part,) = answer.candidates()[0].message.parts
        assert (part.audio.blob.data, part.audio.transcript) == (b"\0\1\2\3", "Hello")
        assert part.provider_state.item_id == "audio_1"

    def test_an_answer_without_finish_reason_is_whole_when_the_stream_says_so(self) -> None:
        (candidate,) = answer_to(chunk({"content": "a"}), DONE, DONE).candidates()
        assert candidate.finish_reason == chat_pb2.FINISH_REASON_UNSPECIFIED

    def test_the_end_mark_may_be_missing(self) -> None:
        assert kinds(answer_to(chunk({"content": "a"}, "stop"))) == ["text"]

    def test_empty_events_are_nothing(self) -> None:
        answer = answer_to(b"data: \n\n", chunk({"content": "a"}), b"data:\n\n", b"data: [DONE] \n\n")
        assert kinds(answer) == ["text"]

    def test_fewer_candidates_than_asked_for_are_whole_when_the_stream_says_so(self) -> None:
        answer = answer_to(chunk({"content": ""}, "stop"), DONE, sampling=chat_pb2.Sampling(candidate_count=2))
        assert [candidate.finish_reason for candidate in answer.candidates()] == [chat_pb2.FINISH_REASON_STOP]

    def test_an_unknown_finish_reason_keeps_its_word(self) -> None:
        (candidate,) = answer_to(chunk({"content": "a"}, "novel"), DONE).candidates()
        assert (candidate.finish_reason, candidate.provider_finish_reason) == (chat_pb2.FINISH_REASON_OTHER, "novel")


class TestToolCalls:
    def test_the_first_fragment_may_ride_with_the_role(self) -> None:
        first = {"role": "assistant", "content": None, **tool(0, '{"a"', id="c", name="f")}
        (part,) = answer_to(chunk(first), chunk(tool(0, ":1}")), chunk({}, "tool_calls")).candidates()[0].message.parts
        assert part.tool_call.arguments_json == '{"a":1}'

    def test_calls_without_a_place(self) -> None:
        both = {"tool_calls": [{"id": x, "function": {"name": x, "arguments": "{}"}} for x in ("a", "b")]}
        assert [
            part.tool_call.call_id for part in answer_to(chunk(both, "tool_calls")).candidates()[0].message.parts
        ] == ["a", "b"]

    def test_two_calls_in_one_place_are_two(self) -> None:
        answer = answer_to(
            chunk(tool(0, '{"n":1}', id="a", name="f")), chunk(tool(0, '{"n":2}', id="b", name="f")), chunk({}, "stop")
        )
        calls = [part.tool_call for part in answer.candidates()[0].message.parts]
        assert [(call.call_id, call.arguments_json) for call in calls] == [("a", '{"n":1}'), ("b", '{"n":2}')]

    def test_a_repeated_name_is_the_same_call(self) -> None:
        answer = answer_to(
            chunk(tool(0, '{"n":', id="a", name="f")), chunk(tool(0, "1}", id="a", name="f")), chunk({}, "stop")
        )
        (part,) = answer.candidates()[0].message.parts
        assert part.tool_call.arguments_json == '{"n":1}'

    def test_ids_that_repeat_are_replaced(self) -> None:
        answer = answer_to(
            chunk(tool(0, "{}", id="a", name="f")), chunk(tool(1, "{}", id="a", name="g")), chunk({}, "stop")
        )
        ids = {part.tool_call.call_id for part in answer.candidates()[0].message.parts}
        assert len(ids) == 2

    def test_stop_with_a_call_means_the_call(self) -> None:
        (candidate,) = answer_to(chunk(tool(0, "{}", id="a", name="f"), "stop")).candidates()
        assert candidate.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS

    def test_empty_arguments_are_an_empty_object(self) -> None:
        (part,) = answer_to(chunk(tool(0, "", id="a", name="f"), "tool_calls")).candidates()[0].message.parts
        assert (part.tool_call.arguments_json, part.tool_call.state) == ("{}", content_pb2.TOOL_CALL_STATE_READY)

    def test_free_text_calls_keep_their_input(self) -> None:
        call = {"id": "c", "type": "custom", "custom": {"name": "calc", "input": "4 + 4"}}
        (part,) = body_to(whole({"content": None, "tool_calls": [call]}, "tool_calls")).candidates()[0].message.parts
        assert (part.tool_call.name, part.tool_call.arguments_json) == ("calc", "4 + 4")
        assert (part.tool_call.state, part.provider_state.data) == (content_pb2.TOOL_CALL_STATE_INVALID, b"custom")

    def test_the_old_function_call(self) -> None:
        answer = answer_to(
            chunk({"function_call": {"name": "f", "arguments": ""}}),
            chunk({"function_call": {"arguments": '{"a":1}'}}),
            chunk({}, "function_call"),
        )
        (candidate,) = answer.candidates()
        assert candidate.message.parts[0].tool_call.arguments_json == '{"a":1}'
        assert candidate.message.parts[0].tool_call.call_id
        assert candidate.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS


ERROR = {"error": {"message": "The server had an error", "type": "server_error", "code": None}}


class TestBrokenAnswers:
    @pytest.mark.parametrize("content_type", ["text/html", "", "application/octet-stream", "text/plain"])
    def test_a_body_of_another_kind(self, content_type: str) -> None:
        assert failure_of(b"<html>", content_type=content_type).kind is FailureKind.BROKEN

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html></html>",
            b"[]",
            b"null",
            b"{}",
            b'{"choices":[]}',
            b'{"choices":"none"}',
            b'{"choices":[{"message":{"content":5}}]}',
            b'{"choices":[{"message":{"content":[{"type":1}]}}]}',
            b'{"choices":[{"index":99999999999,"message":{"content":"a"}}]}',
            b'{"choices":[{"message":{"content":"\xff"}}]}',
            b'{"choices":[{"message":{"content":[{"type":"new","x":"\xff"}]}}]}',
            b'{"choices":[{"message":{"content":"\\ud800"}}]}',
            b'{"choices":[{"message":{"audio":{"data":"A"}}}]}',
            b'{"choices":' + b"[" * 100_000,
        ],
    )
    def test_a_body_that_cannot_be_read(self, body: bytes) -> None:
        assert failure_of(body, content_type="application/json").kind is FailureKind.BROKEN

    @pytest.mark.parametrize("end", [b"", DONE])
    def test_a_stream_without_content(self, end: bytes) -> None:
        assert failure_of(chunk({"role": "assistant", "content": ""}), end).kind is FailureKind.BROKEN

    def test_a_stream_that_stops_in_the_middle(self) -> None:
        assert failure_of(chunk({"content": "a"})).kind is FailureKind.INTERRUPTED

    def test_a_stream_that_stops_before_the_last_candidate(self) -> None:
        failure = failure_of(chunk({"content": "a"}, "stop"), sampling=chat_pb2.Sampling(candidate_count=2))
        assert failure.kind is FailureKind.INTERRUPTED

    def test_content_after_the_end(self) -> None:
        assert failure_of(chunk({"content": "a"}, "stop"), chunk({"content": "b"})).kind is FailureKind.BROKEN

    def test_arguments_without_a_call(self) -> None:
        assert failure_of(chunk(tool(0, "{}"))).kind is FailureKind.BROKEN

    def test_arguments_after_the_end(self) -> None:
        first = chunk(tool(0, "{", id="a", name="f"), "tool_calls")
        assert failure_of(first, chunk(tool(0, "}"))).kind is FailureKind.BROKEN

    def test_a_finish_reason_that_is_an_error(self) -> None:
        assert failure_of(chunk({"content": "a"}, "error")).kind is FailureKind.INTERRUPTED

    @pytest.mark.parametrize(
        ("event", "kind", "status"),
        [
            (b"data: " + json.dumps(ERROR).encode(), FailureKind.TRANSIENT, 200),
            (b"event: error\ndata: " + json.dumps(ERROR).encode(), FailureKind.TRANSIENT, 200),
            (b"event: error\ndata: out of order", FailureKind.BROKEN, 200),
            (b'data: {"error":{"code":429,"message":"slow down"}}', FailureKind.THROTTLED, 429),
            (b'data: {"error":{"code":"tool_use_failed","status_code":400}}', FailureKind.BROKEN, 400),
            (b'data: {"error":"too many tokens","error_type":"validation"}', FailureKind.CONTEXT_TOO_LONG, 200),
        ],
    )
    def test_an_error_in_the_middle(self, event: bytes, kind: FailureKind, status: int) -> None:
        failure = failure_of(chunk({"content": "a"}), event + b"\n\n", DONE)
        assert (failure.kind, failure.http_status) == (kind, status)

    def test_an_error_in_a_body(self) -> None:
        failure = failure_of(b"  \n" + json.dumps(ERROR).encode(), content_type="application/json")
        assert failure.kind is FailureKind.TRANSIENT

    def test_usage_is_kept_where_an_error_comes_with_it(self) -> None:
        ask = Ask("openai", "gpt-x", chat_pb2.ChatInput(), stream=True)
        answer = Answer(streaming=False)
        decoder = WIRE.decode_chat(ask, answer, "text/event-stream")
        with pytest.raises(UpstreamFailure):
            decoder.feed(chunk({"content": "a"}, usage=USAGE, error=ERROR["error"]))
        assert answer.usage is not None
        assert answer.usage.input_tokens == 20


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "body", "kind", "code"),
        [
            (401, {"error": {"code": "invalid_api_key", "message": "Incorrect API key"}}, "AUTH", "invalid_api_key"),
            (401, {"error": {"message": "model not found", "type": "invalid_request_error"}}, "AUTH", None),
            (400, {"code": "invalid-argument", "error": "Incorrect API key provided: x"}, "AUTH", "invalid-argument"),
            (401, {"detail": "Invalid API Key"}, "AUTH", ""),
            (
                429,
                {"error": {"code": "insufficient_quota", "type": "insufficient_quota"}},
                "QUOTA",
                "insufficient_quota",
            ),
            (429, {"error": {"code": "rate_limit_exceeded", "type": "tokens"}}, "THROTTLED", "rate_limit_exceeded"),
            (429, {"message": "Requests rate limit exceeded"}, "THROTTLED", ""),
            (402, {"error": {"message": "requires more credits", "code": 402}}, "QUOTA", ""),
            (404, {"error": {"code": "model_not_found", "param": "model"}}, "MODEL_UNKNOWN", "model_not_found"),
            (400, {"error": {"code": "model_not_found"}}, "MODEL_UNKNOWN", "model_not_found"),
            (400, {"message": "Invalid model: x", "type": "invalid_model", "code": "1500"}, "MODEL_UNKNOWN", "1500"),
            (400, {"error": "The model x does not exist or your team has no access"}, "MODEL_UNKNOWN", ""),
            (404, {"error": {"code": "404", "message": "Resource not found"}}, "MODEL_UNKNOWN", "404"),
            (400, {"error": {"code": "context_length_exceeded"}}, "CONTEXT_TOO_LONG", "context_length_exceeded"),
            (400, {"error": {"message": "This model's maximum context length is 8192 tokens"}}, "CONTEXT_TOO_LONG", ""),
            (400, {"error": {"code": "content_filter"}}, "FILTERED", "content_filter"),
            (403, {"error": {"code": 403, "message": "Your input was flagged"}}, "FILTERED", ""),
            (400, {"error": "the maximum prompt length is 131072"}, "CONTEXT_TOO_LONG", ""),
            (403, {"error": "Your team has used all available credits"}, "QUOTA", ""),
            (400, {"error": {"code": "unsupported_parameter", "param": "top_k"}}, "INVALID", "unsupported_parameter"),
            (400, {"error": ["first", "second"]}, "INVALID", ""),
            (400, [{"error": {"message": "x", "type": "invalid_model"}}], "MODEL_UNKNOWN", "invalid_model"),
            (
                500,
                {"error": {"message": "The server had an error", "type": "server_error"}},
                "TRANSIENT",
                "server_error",
            ),
            (
                503,
                {"error": {"message": "The engine is overloaded", "type": "server_error"}},
                "THROTTLED",
                "server_error",
            ),
            (503, "Service Unavailable", "TRANSIENT", ""),
            (301, "", "BROKEN", ""),
        ],
    )
    def test_the_body_knows_better_than_the_status(self, status: int, body: Any, kind: str, code: str | None) -> None:
        failure = WIRE.failure(status, {}, body.encode() if isinstance(body, str) else json.dumps(body).encode())
        assert (failure.kind, failure.http_status) == (FailureKind(kind), status)
        assert code is None or failure.code == code

    @pytest.mark.parametrize(
        ("text", "wait_s"),
        [
            ("Please try again in 3.89s.", 3.89),
            ("Please try again in 20ms.", 0.02),
            ("Please try again in 1h2m3s.", 3723.0),
            ("Please try again in 6m0s", 360.0),
            ("Please try again in 7m.", 420.0),
            ("Please try again in a while", None),
        ],
    )
    def test_how_long_to_wait_may_stand_in_the_text(self, text: str, wait_s: float | None) -> None:
        body = json.dumps({"error": {"message": text, "code": "rate_limit_exceeded"}}).encode()
        assert WIRE.failure(429, {}, body).retry_after_s == wait_s
        assert WIRE.failure(429, {"retry-after": "2"}, body).retry_after_s == 2.0

    def test_what_is_too_large_stays_too_large(self) -> None:
        body = b'{"error":{"message":"Request too large for gpt-x","code":"rate_limit_exceeded"}}'
        assert WIRE.failure(429, {}, body).retries_max == 0

    def test_nothing_the_provider_wrote_is_told(self) -> None:
        body = b'{"error":{"message":"Incorrect API key provided: sk-12***89","code":"bad key sk-12"}}'
        failure = WIRE.failure(401, {}, body)
        assert "sk-12" not in f"{failure!r} {failure}"

    @given(st.integers(100, 599), st.binary())
    def test_any_bytes_are_a_failure(self, status: int, body: bytes) -> None:
        assert WIRE.failure(status, {}, body).http_status == status

    @pytest.mark.parametrize(
        "body", [b"[" * 100_000, b'{"error":' * 400 + b"1" + b"}" * 400, b"\xff\xfe", b'{"error":null}']
    )
    def test_odd_bodies(self, body: bytes) -> None:
        assert WIRE.failure(500, {}, body).kind is FailureKind.TRANSIENT


def test_models() -> None:
    request = WIRE.encode_models()
    assert (request.method, request.path, request.body) == ("GET", "/models", b"")
    assert [
        each.name for each in WIRE.decode_models(b'{"object":"list","data":[{"id":"a","object":"model"},{"id":"b"}]}')
    ] == ["a", "b"]
    with pytest.raises(UpstreamFailure):
        WIRE.decode_models(b'{"data":[{"name":"a"}]}')


def test_tokens_cannot_be_counted() -> None:
    assert WIRE.encode_count(Ask("openai", "gpt-x", chat_pb2.ChatInput(), stream=False)) is None
