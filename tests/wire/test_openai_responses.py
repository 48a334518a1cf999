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
from trunkline_server.wire.openai_responses import OpenAIResponses

WIRE = OpenAIResponses()
CALLER, PROVIDER = content_pb2.TOOL_EXECUTOR_CALLER, content_pb2.TOOL_EXECUTOR_PROVIDER
PNG = base64.b64encode(b"picture").decode()

THOUGHTS = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Hm ä"}, {"type": "summary_text", "text": "So 😀"}],
    "encrypted_content": "cipher",
    "status": "completed",
}
SEARCH = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "Köln"},
}
CITATION = {"type": "url_citation", "url": "https://a.example/", "title": "A", "start_index": 2, "end_index": 5}
SAID = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "phase": "final_answer",
    "content": [{"type": "output_text", "text": "Hello wörld 😀", "annotations": [CITATION], "logprobs": []}],
}
WEATHER = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_a",
    "name": "weather",
    "arguments": '{"city":"Köln"}',
    "status": "completed",
}
CLOCK = {**WEATHER, "id": "fc_2", "call_id": "call_b", "name": "time", "arguments": '{"zone":"CET"}'}
USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 4},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 5},
}


def whole(*output: Any, **more: Any) -> dict[str, Any]:
    return {"id": "resp_1", "model": "gpt-x-1", "status": "completed", "output": list(output), "usage": USAGE, **more}


def event(kind: str, index: int = 0, *, named: bool = True, **more: Any) -> bytes:
    data = {"type": kind, "output_index": index, "sequence_number": 1, **more}
    name = f"event: {kind}\n" if named else ""
    return f"{name}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def begun(index: int, item: dict[str, Any]) -> bytes:
    bare = {key: item[key] for key in ("type", "id", "call_id", "name", "phase") if key in item}
    return event("response.output_item.added", index, item={**bare, "status": "in_progress"})


def ended(index: int, item: dict[str, Any]) -> bytes:
    return event("response.output_item.done", index, item=item)


def text(delta: str, index: int = 0, **more: Any) -> bytes:
    return event("response.output_text.delta", index, delta=delta, content_index=0, **more)


def over(response: dict[str, Any], kind: str = "completed") -> bytes:
    return event(f"response.{kind}", response=response)


START = event("response.created", response={"id": "resp_1", "model": "gpt-x-1", "status": "in_progress", "usage": None})
STREAM = b"".join(
    [
        b": a comment\n\n",
        START,
        begun(0, THOUGHTS),
        event("response.reasoning_summary_text.delta", 0, delta="Hm ", summary_index=0),
        event("response.reasoning_summary_text.delta", 0, delta="ä", summary_index=0),
        event("keepalive"),
        event("response.reasoning_summary_text.delta", 0, delta="So 😀", summary_index=1, obfuscation="abc"),
        ended(0, THOUGHTS),
        begun(1, SEARCH),
        event("response.web_search_call.searching", 1),
        ended(1, SEARCH),
        begun(2, SAID),
        text("Hello ", 2, logprobs=[]),
        text("wörld 😀", 2, logprobs=[]),
        event("response.output_text.annotation.added", 2, content_index=0, annotation=CITATION),
        ended(2, SAID),
        begun(3, WEATHER),
        begun(4, CLOCK),
        event("response.function_call_arguments.delta", 4, delta='{"zone":'),
        event("response.function_call_arguments.delta", 3, delta='{"city":"Köln"}'),
        event("response.function_call_arguments.delta", 4, delta='"CET"}'),
        ended(3, WEATHER),
        ended(4, CLOCK),
        over(whole(THOUGHTS, SEARCH, SAID, WEATHER, CLOCK)),
    ]
)
BODY = json.dumps(whole(THOUGHTS, SEARCH, SAID, WEATHER, CLOCK), ensure_ascii=False).encode()


def answer_to(*parts: bytes, content_type: str = "text/event-stream", streaming: bool = True) -> Answer:
    ask = Ask("openai", "gpt-x", chat_pb2.ChatInput(), stream=True)
    return read(lambda answer: WIRE.decode_chat(ask, answer, content_type), parts, streaming=streaming)


def body_to(response: dict[str, Any]) -> Answer:
    return answer_to(json.dumps(response, ensure_ascii=False).encode(), content_type="application/json; charset=utf-8")


def failure_of(*parts: bytes, **more: Any) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as failed:
        answer_to(*parts, **more)
    return failed.value


def parts_of(answer: Answer) -> list[content_pb2.Part]:
    (candidate,) = answer.candidates()
    return list(candidate.message.parts)


def kinds(answer: Answer) -> list[str | None]:
    return [part.WhichOneof("kind") for part in parts_of(answer)]


class TestAnswers:
    def test_a_stream(self) -> None:
        answer = answer_to(STREAM)
        thoughts, search, said, weather, clock = parts_of(answer)
        assert thoughts.reasoning.text == "Hm ä\n\nSo 😀"
        assert (thoughts.provider_state.item_id, thoughts.provider_state.model) == ("rs_1", "gpt-x-1")
        assert json.loads(thoughts.provider_state.data) == THOUGHTS
        assert (search.tool_call.name, search.tool_call.executor) == ("web_search", PROVIDER)
        assert json.loads(search.tool_call.arguments_json) == {"action": SEARCH["action"]}
        assert said.text.text == "Hello wörld 😀"
        assert (said.provider_state.data, said.provider_state.item_id) == (b"final_answer", "msg_1")
        assert (weather.tool_call.call_id, weather.tool_call.arguments_json) == ("call_a", '{"city":"Köln"}')
        assert (clock.tool_call.call_id, clock.tool_call.arguments_json) == ("call_b", '{"zone":"CET"}')
        assert {weather.tool_call.executor, clock.tool_call.executor} == {CALLER}
        assert (answer.response_id, answer.model) == ("resp_1", "gpt-x-1")

    def test_streamed_and_whole_are_the_same(self) -> None:
        streamed, at_once = answer_to(STREAM), answer_to(BODY, content_type="application/json")
        assert streamed.candidates() == at_once.candidates()
        assert streamed.usage == at_once.usage

    @given(st.lists(st.integers(0, len(STREAM)), max_size=12))
    def test_cut_anywhere(self, positions: list[int]) -> None:
        assert answer_to(*pieces(STREAM, positions)).candidates() == answer_to(STREAM).candidates()

    def test_with_crlf_and_without_names(self) -> None:
        bare = b"".join(line for line in STREAM.splitlines(keepends=True) if not line.startswith(b"event:"))
        answer = answer_to(bare.replace(b"\n", b"\r\n") + b"data: [DONE]\r\n\r\n")
        assert answer.candidates() == answer_to(STREAM).candidates()

    def test_a_whole_body_on_a_streamed_question_after_blanks(self) -> None:
        answer = answer_to(b"\n   \n", BODY, content_type="application/json")
        assert answer.candidates() == answer_to(STREAM).candidates()

    def test_a_stream_that_only_says_the_end(self) -> None:
        assert answer_to(START, over(whole(THOUGHTS, SAID))).candidates() == body_to(whole(THOUGHTS, SAID)).candidates()

    def test_items_that_are_only_told_when_they_end(self) -> None:
        answer = answer_to(START, ended(0, SAID), ended(0, SAID), ended(1, WEATHER), over(whole(SAID, WEATHER)))
        assert answer.candidates() == body_to(whole(SAID, WEATHER)).candidates()

    def test_items_whose_end_is_never_told(self) -> None:
        answer = answer_to(begun(0, SAID), text("Hi"), begun(1, THOUGHTS), over(whole()))
        assert [(part.text.text, part.provider_state.data) for part in parts_of(answer)] == [("Hi", b"final_answer")]

    def test_thoughts_that_end_after_the_text_has_begun(self) -> None:
        said = {"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "4"}]}
        thoughts = {"type": "reasoning", "id": "rs_1", "content": [{"type": "reasoning_text", "text": "Two and two."}]}
        answer = answer_to(
            begun(0, thoughts),
            event("response.reasoning_text.delta", 0, delta="Two and two.", content_index=0),
            begun(1, said),
            text("4", 1),
            ended(1, said),
            ended(0, thoughts),
            over(whole(thoughts, said)),
        )
        reasoning, words = parts_of(answer)
        assert (reasoning.reasoning.text, words.text.text) == ("Two and two.", "4")

    def test_hidden_thoughts(self) -> None:
        hidden = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "cipher"}
        (part,) = parts_of(body_to(whole(hidden)))
        assert part.reasoning.redacted
        assert json.loads(part.provider_state.data) == hidden
        assert parts_of(body_to(whole({"type": "reasoning", "id": "rs_1", "summary": []}, SAID)))[0].HasField("text")

    def test_each_piece_of_a_message_is_a_part(self) -> None:
        content = [
            {"type": "output_text", "text": "One"},
            {"type": "refusal", "refusal": "No"},
            {"type": "output_song", "la": "la"},
        ]
        message = {"type": "message", "id": "msg_1", "content": content}
        streamed = answer_to(
            START,
            begun(0, message),
            text("One"),
            event("response.refusal.delta", 0, delta="No", content_index=1),
            ended(0, message),
            over(whole(message)),
        )
        assert kinds(streamed) == ["text", "refusal", "opaque"]
        assert streamed.candidates() == body_to(whole(message)).candidates()
        assert streamed.candidates()[0].finish_reason == chat_pb2.FINISH_REASON_REFUSAL

    def test_a_call_with_free_text(self) -> None:
        call = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_c", "name": "shell", "input": "ls -l"}
        streamed = answer_to(
            START,
            begun(0, call),
            event("response.custom_tool_call_input.delta", 0, delta="ls"),
            event("response.custom_tool_call_input.delta", 0, delta=" -l"),
            ended(0, call),
            over(whole(call)),
        )
        (part,) = parts_of(streamed)
        assert (part.tool_call.arguments_json, part.provider_state.data) == ("ls -l", b"custom")
        assert streamed.candidates() == body_to(whole(call)).candidates()

    def test_items_without_a_shape_are_kept(self) -> None:
        item = {"type": "mcp_approval_request", "id": "mcpr_1", "arguments": "{}", "big": 12345678901234567890}
        (part,) = parts_of(answer_to(START, begun(0, item), ended(0, item), over(whole(item))))
        assert (part.opaque.provider, part.opaque.type) == ("openai", "mcp_approval_request")
        assert json.loads(part.opaque.json) == item

    def test_log_probabilities(self) -> None:
        tokens = [{"token": "Hi", "logprob": -0.5, "top_logprobs": [{"token": "Ho", "logprob": -1.5}]}]
        message = {"type": "message", "content": [{"type": "output_text", "text": "Hi", "logprobs": tokens}]}
        streamed = answer_to(begun(0, message), text("Hi", logprobs=tokens), ended(0, message), over(whole(message)))
        (token,) = streamed.candidates()[0].logprobs
        assert (token.token, token.logprob, token.alternatives[0].token) == ("Hi", -0.5, "Ho")
        assert streamed.candidates() == body_to(whole(message)).candidates()

    def test_citations(self) -> None:
        file = {"type": "file_citation", "file_id": "file-1", "filename": "a.txt", "index": 3}
        message = {
            "type": "message",
            "content": [{"type": "output_text", "text": "Hi", "annotations": [CITATION, file]}],
        }
        web, place = parts_of(body_to(whole(message)))[0].text.citations
        assert (web.uri, web.title, web.start_index, web.end_index) == ("https://a.example/", "A", 2, 5)
        assert (place.title, place.start_index, json.loads(place.provider_json)) == ("a.txt", 3, file)

    def test_a_delta_counts_as_the_tokens_that_it_is_likely_to_hold(self) -> None:
        answer = answer_to(begun(0, SAID), text("x" * 400), over(whole()))
        assert answer.delta_count == 100


class TestHostedTools:
    @pytest.mark.parametrize(
        ("item", "name", "asked"),
        [
            (SEARCH, "web_search", {"action": SEARCH["action"]}),
            (
                {"type": "file_search_call", "id": "fs_1", "queries": ["a"], "results": [{"score": 1}]},
                "file_search",
                {"queries": ["a"]},
            ),
            (
                {"type": "code_interpreter_call", "id": "ci_1", "code": "1+1", "container_id": "c", "outputs": [{}]},
                "code_interpreter",
                {"code": "1+1", "container_id": "c"},
            ),
            (
                {
                    "type": "mcp_call",
                    "id": "mcp_1",
                    "name": "find",
                    "arguments": '{"a":1}',
                    "output": "b",
                    "error": None,
                },
                "find",
                {"a": 1},
            ),
        ],
    )
    def test_a_call_and_what_it_found(self, item: dict[str, Any], name: str, asked: dict[str, Any]) -> None:
        answer = answer_to(START, begun(0, item), ended(0, item), over(whole(item)))
        call, *found = parts_of(answer)
        assert (call.tool_call.call_id, call.tool_call.name) == (item["id"], name)
        assert json.loads(call.tool_call.arguments_json) == asked
        joined = json.loads(call.provider_state.data)
        for part in found:
            assert part.opaque.type == f"{item['type']}.found"
            joined |= json.loads(part.opaque.json)
        assert joined == item
        assert answer.candidates() == body_to(whole(item)).candidates()
        assert answer.candidates()[0].finish_reason == chat_pb2.FINISH_REASON_STOP

    def test_what_was_found_stays_in_an_item_without_an_id(self) -> None:
        item = {"type": "file_search_call", "queries": ["a"], "results": [{"score": 1}]}
        (call,) = parts_of(body_to(whole(item)))
        assert json.loads(call.provider_state.data) == item

    def test_an_item_that_ends_as_another_kind_than_it_began(self) -> None:
        answer = answer_to(START, begun(0, SEARCH), ended(0, {**SEARCH, "type": "sonar_call"}), over(whole()))
        assert kinds(answer) == ["tool_call"]

    def test_a_picture(self) -> None:
        item = {"type": "image_generation_call", "id": "ig_1", "result": PNG, "output_format": "webp"}
        call, picture = parts_of(body_to(whole(item)))
        assert call.tool_call.name == "image_generation"
        assert PNG.encode() not in call.provider_state.data
        assert (picture.image.blob.data, picture.image.blob.media_type) == (b"picture", "image/webp")
        assert picture.provider_state.item_id == "ig_1"

    def test_a_picture_that_is_no_base64(self) -> None:
        item = {"type": "image_generation_call", "id": "ig_1", "result": "a"}
        with pytest.raises(UpstreamFailure) as failed:
            body_to(whole(item))
        assert failed.value.kind is FailureKind.BROKEN


class TestUsage:
    def test_by_class(self) -> None:
        assert answer_to(STREAM).usage == usage_pb2.Usage(
            input_tokens=20,
            cached_input_tokens=8,
            cache_write_input_tokens=4,
            output_tokens=12,
            reasoning_output_tokens=5,
            unit_counts={"searches": 1},
            source=usage_pb2.USAGE_SOURCE_PROVIDER,
        )

    def test_opening_a_page_is_no_search(self) -> None:
        opened = {**SEARCH, "id": "ws_2", "action": {"type": "open_page", "url": "https://a.example/"}}
        assert units(whole(SEARCH, opened)) == {"searches": 1}

    def test_what_the_server_counts_counts(self) -> None:
        assert units(whole(SEARCH, tool_usage={"web_search": {"num_requests": 3}})) == {"searches": 3}
        ran = {"web_search_calls": 2, "x_search_calls": 1, "file_search_calls": 4}
        told = {**USAGE, "server_side_tool_usage_details": ran, "num_sources_used": 5}
        assert units(whole(SEARCH, usage=told)) == {"searches": 3, "storage_searches": 4, "sources": 5}

    def test_nulls_and_negatives(self) -> None:
        usage = body_to(
            whole(SAID, usage={"input_tokens": -1, "output_tokens": None, "input_tokens_details": None})
        ).usage
        assert usage == usage_pb2.Usage(source=usage_pb2.USAGE_SOURCE_PROVIDER)
        assert body_to(whole(SAID, usage=None)).usage is None


def units(response: dict[str, Any]) -> dict[str, int]:
    usage = body_to(response).usage
    assert usage is not None
    return dict(usage.unit_counts)


class TestEnds:
    @pytest.mark.parametrize(
        ("word", "reason"),
        [
            ("max_output_tokens", chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS),
            ("content_filter", chat_pb2.FINISH_REASON_CONTENT_FILTER),
            ("boredom", chat_pb2.FINISH_REASON_OTHER),
        ],
    )
    def test_incomplete(self, word: str, reason: chat_pb2.FinishReason.ValueType) -> None:
        response = whole(SAID, status="incomplete", incomplete_details={"reason": word})
        for answer in (body_to(response), answer_to(over(response, "incomplete"))):
            (candidate,) = answer.candidates()
            assert (candidate.finish_reason, candidate.provider_finish_reason) == (reason, word)

    def test_completed(self) -> None:
        reasons = [body_to(whole(*items)).candidates()[0].finish_reason for items in ([SAID], [SAID, WEATHER])]
        assert reasons == [chat_pb2.FINISH_REASON_STOP, chat_pb2.FINISH_REASON_TOOL_CALLS]

    @pytest.mark.parametrize("status", ["queued", "in_progress", "cancelled", "failed", None])
    def test_a_body_that_is_not_ready(self, status: str | None) -> None:
        body = json.dumps(whole(status=status)).encode()
        assert failure_of(body, content_type="application/json").kind is FailureKind.BROKEN

    def test_cut_off(self) -> None:
        assert failure_of(START).kind is FailureKind.BROKEN
        assert failure_of(START, begun(0, SAID), text("Hi")).kind is FailureKind.INTERRUPTED

    def test_more_after_the_end(self) -> None:
        assert failure_of(STREAM, text("more", 2)).kind is FailureKind.BROKEN
        assert failure_of(STREAM, begun(7, WEATHER)).kind is FailureKind.BROKEN


class TestFailures:
    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            ({"code": "server_error", "message": "secret"}, FailureKind.TRANSIENT),
            ({"code": "rate_limit_exceeded", "message": "secret"}, FailureKind.THROTTLED),
            ({"code": "invalid_prompt", "message": "secret"}, FailureKind.FILTERED),
            ({"code": "strange", "message": "secret"}, FailureKind.BROKEN),
        ],
    )
    def test_inside_status_200(self, error: dict[str, Any], kind: FailureKind) -> None:
        failed = whole(status="failed", error=error)
        failures = [
            failure_of(START, over(failed, "failed")),
            failure_of(json.dumps(failed).encode(), content_type="application/json"),
            failure_of(START, event("error", **error)),
            failure_of(START, event("error", error=error)),
            failure_of(START, f"data: {json.dumps({'error': error})}\n\n".encode()),
        ]
        assert {failure.kind for failure in failures} == {kind}
        assert "secret" not in "".join(map(str, failures))

    def test_what_was_used_before_a_failure_counts(self) -> None:
        answer = Answer(streaming=True)
        ask = Ask("openai", "gpt-x", chat_pb2.ChatInput(), stream=True)
        with pytest.raises(UpstreamFailure):
            WIRE.decode_chat(ask, answer, "text/event-stream").feed(over(whole(status="failed"), "failed"))
        assert answer.usage is not None
        assert answer.usage.output_tokens == 12

    @pytest.mark.parametrize(
        "event_",
        [
            b"data: {\n\n",
            b"data: [1]\n\n",
            b'data: {"type": 1}\n\n',
            b'data: {"type": "response.completed"}\n\n',
            b'data: {"type": "response.completed", "response": null}\n\n',
            b'data: {"type": "response.output_item.added", "item": []}\n\n',
            text("Hi"),
            event("response.function_call_arguments.delta", 0, delta="{}"),
            begun(0, SAID) + event("response.output_text.delta", 0, delta=None),
            begun(0, SAID) + event("response.reasoning_text.delta", 0, delta="Hm"),
            begun(0, SAID) + text("Hi") + b'data: {"type": "response.output_text.annotation.added"}\n\n',
        ],
    )
    def test_what_cannot_be_read(self, event_: bytes) -> None:
        assert failure_of(START, event_).kind is FailureKind.BROKEN

    def test_a_page(self) -> None:
        assert failure_of(b"<html>", content_type="text/html").kind is FailureKind.BROKEN
        assert failure_of(b"<html>", content_type="application/json").kind is FailureKind.BROKEN

    @given(st.binary(max_size=60))
    def test_any_bytes_are_an_answer_or_a_failure(self, data: bytes) -> None:
        for kind in ("application/json", "text/event-stream"):
            with pytest.raises(UpstreamFailure):
                answer_to(data, content_type=kind)

    def test_by_status(self) -> None:
        body = b'{"error": {"message": "secret", "type": "invalid_request_error", "code": "model_not_found"}}'
        assert WIRE.failure(400, {}, body).kind is FailureKind.MODEL_UNKNOWN


def test_counting_and_models() -> None:
    assert WIRE.decode_count(b'{"object": "response.input_tokens", "input_tokens": 11}') == 11
    assert [each.name for each in WIRE.decode_models(b'{"data": [{"id": "a"}]}')] == ["a"]
    assert (WIRE.encode_models().method, WIRE.encode_models().path) == ("GET", "/models")
    with pytest.raises(UpstreamFailure):
        WIRE.decode_count(b"{}")
