"""Answers and failures; what goes out is in `test_ollama_encode.py`. The bodies are ours."""

from __future__ import annotations

import base64
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
from trunkline_server.wire.dialect import Wire
from trunkline_server.wire.ollama import Ollama

WIRE = Ollama()
PNG = b"\x89PNG\r\n\x1a\n..."
Json = dict[str, Any]


def line(message: Json | None = None, **more: Any) -> bytes:
    said = {} if message is None else {"message": {"role": "assistant", "content": "", **message}}
    body = {"model": "m:1", "created_at": "2026-01-01T00:00:00.1Z", **said, "done": False, **more}
    return json.dumps(body, ensure_ascii=False).encode() + b"\n"


def done(word: str | None = "stop", message: Json | None = None, **more: Any) -> bytes:
    return line(message or {}, done=True, **({"done_reason": word} if word else {}), **{**COUNTS, **more})


def call(name: str, arguments: Any, **more: Any) -> Json:
    return {**more, "function": {"index": 0, "name": name, "arguments": arguments}}


COUNTS = {"total_duration": 5, "prompt_eval_count": 20, "eval_count": 12}
CALLS = [call("weather", {"city": "Köln", "n": 12345678901234567890}, id="call_a"), call("time", {})]
STREAM = b"".join(
    [
        line({"thinking": "Hm "}),
        line({"thinking": "ä"}),
        line({"content": "Hello "}),
        b"\r\n",
        line({"content": "wörld 😀"}),
        line({"tool_calls": CALLS[:1]}),
        line({"tool_calls": CALLS[1:]}),
        line({"unknown": 1}, news={}),
        done(),
    ]
)
BODY = done("stop", {"thinking": "Hm ä", "content": "Hello wörld 😀", "tool_calls": CALLS})


def answer_to(*parts: bytes, content_type: str = "application/x-ndjson", streaming: bool = True) -> Answer:
    ask = Ask("ollama", "m", chat_pb2.ChatInput(), stream=True)
    return read(lambda answer: WIRE.decode_chat(ask, answer, content_type), parts, streaming=streaming)


def body_to(*parts: bytes) -> Answer:
    return answer_to(*parts, content_type="application/json; charset=utf-8")


def failure_of(*parts: bytes, **more: Any) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as failed:
        answer_to(*parts, **more)
    return failed.value


def without_made_ids(answer: Answer) -> list[chat_pb2.Candidate]:
    candidates = answer.candidates()
    candidates[0].message.parts[3].tool_call.call_id = ""
    return candidates


class TestAnswers:
    def test_a_stream(self) -> None:
        answer = answer_to(STREAM)
        (candidate,) = answer.candidates()
        thoughts, text, weather, clock = candidate.message.parts
        assert (thoughts.reasoning.text, text.text.text) == ("Hm ä", "Hello wörld 😀")
        assert weather.tool_call.call_id == "call_a"
        assert weather.tool_call.arguments_json == '{"city": "Köln", "n": 12345678901234567890}'
        assert (clock.tool_call.name, clock.tool_call.arguments_json) == ("time", "{}")
        assert clock.tool_call.call_id
        assert candidate.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS
        assert candidate.provider_finish_reason == "stop"
        assert answer.model == "m:1"

    def test_streamed_and_whole_are_the_same(self) -> None:
        assert without_made_ids(answer_to(STREAM)) == without_made_ids(body_to(b"\n ", BODY))
        assert answer_to(STREAM).usage == body_to(BODY).usage

    @given(st.lists(st.integers(0, len(STREAM))))
    def test_a_stream_may_be_cut_anywhere(self, positions: list[int]) -> None:
        whole = without_made_ids(answer_to(STREAM))
        assert without_made_ids(answer_to(*pieces(STREAM, positions))) == whole

    def test_the_last_line_may_lack_its_end(self) -> None:
        assert answer_to(line({"content": "x"}), done().rstrip()).finished

    def test_usage(self) -> None:
        usage = usage_pb2.Usage(input_tokens=20, output_tokens=12, source=usage_pb2.USAGE_SOURCE_PROVIDER)
        assert answer_to(STREAM).usage == usage

    def test_a_count_may_be_missing(self) -> None:
        usage = answer_to(done(prompt_eval_count=None)).usage
        assert usage
        assert (usage.input_tokens, usage.output_tokens) == (0, 12)

    def test_no_usage(self) -> None:
        assert answer_to(done(prompt_eval_count=None, eval_count=None)).usage is None

    @pytest.mark.parametrize("arguments", [None, {}])
    def test_no_arguments(self, arguments: Any) -> None:
        (part,) = body_to(done("stop", {"tool_calls": [call("f", arguments)]})).candidates()[0].message.parts
        assert (part.tool_call.arguments_json, part.tool_call.state) == ("{}", content_pb2.TOOL_CALL_STATE_READY)

    def test_a_picture(self) -> None:
        image = base64.b64encode(PNG).decode()
        (part,) = answer_to(line({"images": [image]}), done()).candidates()[0].message.parts
        assert (part.image.blob.data, part.image.blob.media_type) == (PNG, "image/png")

    def test_probabilities(self) -> None:
        alternatives = [{"token": "Hi", "logprob": -0.5, "bytes": [72]}, {"token": "Ho", "logprob": -1.5}]
        told = [{"token": "Hi", "logprob": -0.5, "top_logprobs": alternatives}]
        (likely,) = answer_to(line({"content": "Hi"}, logprobs=told), done()).candidates()[0].logprobs
        assert (likely.token, likely.logprob) == ("Hi", -0.5)
        assert [(each.token, each.logprob) for each in likely.alternatives] == [("Hi", -0.5), ("Ho", -1.5)]

    @pytest.mark.parametrize(
        ("word", "reason"),
        [
            ("stop", chat_pb2.FINISH_REASON_STOP),
            (None, chat_pb2.FINISH_REASON_STOP),
            ("length", chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS),
            ("load", chat_pb2.FINISH_REASON_OTHER),
        ],
    )
    def test_finish_reasons(self, word: str | None, reason: int) -> None:
        (candidate,) = answer_to(line({"content": "x"}), done(word)).candidates()
        assert (candidate.finish_reason, candidate.provider_finish_reason) == (reason, word or "")

    def test_a_cut_call_is_no_call_to_make(self) -> None:
        (candidate,) = answer_to(line({"tool_calls": CALLS[:1]}), done("length")).candidates()
        assert candidate.finish_reason == chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS


class TestFailures:
    @pytest.mark.parametrize(
        ("parts", "kind"),
        [
            ((), FailureKind.BROKEN),
            ((b"\n\n",), FailureKind.BROKEN),
            ((line({}),), FailureKind.BROKEN),
            ((line({"content": "x"}),), FailureKind.INTERRUPTED),
            ((line({"content": "x"}), done()[:-9]), FailureKind.BROKEN),
            ((b"<html>\n",), FailureKind.BROKEN),
            ((b"[" * 9999 + b"\n",), FailureKind.BROKEN),
            ((line({"content": 7}),), FailureKind.BROKEN),
            ((line({"tool_calls": [{"function": {"name": ""}}]}),), FailureKind.BROKEN),
            ((line({"images": ["?"]}),), FailureKind.BROKEN),
            ((done(), line({"content": "late"})), FailureKind.BROKEN),
            ((line({"content": "x"}), b'{"error":"an error was encountered"}\n'), FailureKind.TRANSIENT),
            ((b'{"error":"server busy, please try again"}',), FailureKind.THROTTLED),
        ],
    )
    def test_streams(self, parts: tuple[bytes, ...], kind: FailureKind) -> None:
        assert failure_of(*parts).kind is kind

    @pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<html>", line({"content": "x"})])
    def test_bodies(self, body: bytes) -> None:
        assert failure_of(body, content_type="application/json").kind is FailureKind.BROKEN

    @pytest.mark.parametrize("content_type", ["text/html", "", "text/event-stream"])
    def test_other_kinds_of_body(self, content_type: str) -> None:
        assert failure_of(STREAM, content_type=content_type).kind is FailureKind.BROKEN

    @pytest.mark.parametrize(
        ("status", "error", "kind"),
        [
            (404, "model 'x' not found", FailureKind.MODEL_UNKNOWN),
            (404, "404 page not found", FailureKind.MODEL_UNKNOWN),
            (400, 'model "x" not found, try pulling it first', FailureKind.MODEL_UNKNOWN),
            (400, '"x" does not support tools', FailureKind.INVALID),
            (400, "the input length exceeds the context length", FailureKind.CONTEXT_TOO_LONG),
            (400, "prompt too long; exceeded max context length by 9 tokens", FailureKind.CONTEXT_TOO_LONG),
            (401, "unauthorized", FailureKind.AUTH),
            (429, "you have reached your weekly usage limit", FailureKind.QUOTA),
            (429, "too many concurrent requests", FailureKind.THROTTLED),
            (503, "server busy, please try again. maximum pending requests exceeded", FailureKind.THROTTLED),
            (500, "model requires more system memory (9 GiB) than is available", FailureKind.TRANSIENT),
        ],
    )
    def test_errors(self, status: int, error: str, kind: FailureKind) -> None:
        for body in ({"error": error}, {"error": {"message": error}}):
            failure = WIRE.failure(status, {}, json.dumps(body).encode())
            assert (failure.kind, failure.http_status) == (kind, status)
            assert error not in str(failure)

    @given(st.binary() | st.sampled_from([b"null", b"[1]", b'{"error":{"message":[]}}', b"[" * 9999]))
    def test_any_bytes(self, body: bytes) -> None:
        assert WIRE.failure(500, {"retry-after": "7"}, body).retry_after_s == 7


class TestModels:
    def test_the_question(self) -> None:
        request = WIRE.encode_models()
        assert (request.method, request.path) == ("GET", "/api/tags")

    def test_the_answer(self) -> None:
        assert [
            each.name for each in WIRE.decode_models(b'{"models":[{"name":"a:1","model":"a:1","size":1},{"name":"b"}]}')
        ] == ["a:1", "b"]

    def test_a_broken_answer(self) -> None:
        with pytest.raises(UpstreamFailure):
            WIRE.decode_models(b'{"data":[]}')


def test_it_is_a_wire() -> None:
    assert isinstance(WIRE, Wire)
    assert WIRE.encode_count(Ask("ollama", "x", chat_pb2.ChatInput(), stream=False)) is None
    with pytest.raises(UpstreamFailure):
        WIRE.decode_count(b"{}")
