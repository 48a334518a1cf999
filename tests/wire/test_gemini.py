"""The generateContent dialect: answers read however they are cut, and failures told apart."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.recorded import pieces, read
from trunkline.v1 import chat_pb2, content_pb2, usage_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.gemini import Gemini
from trunkline_server.wire.gemini.chunks import FINISH_REASONS
from trunkline_server.wire.gemini.notes import span

WIRE = Gemini()
SSE = "text/event-stream"
JSON = "application/json; charset=UTF-8"


def asked(*messages: content_pb2.Message) -> Ask:
    return Ask("gemini", "gemini-2.5-flash", chat_pb2.ChatInput(messages=messages), stream=True)


def sent_back(message: content_pb2.Message) -> list[Any]:
    """The blocks of the answer when it is part of the next question."""
    (content,) = json.loads(WIRE.encode_chat(asked(message)).body)["contents"]
    parts: list[Any] = content["parts"]
    return parts


# Answers.


def chunk(*own: Any, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": list(own), "role": "model"}, **fields}
    if finish:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 3, "totalTokenCount": 13}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-x", "responseId": "r1"}


def events(*chunks: Any, newline: str = "\r\n") -> bytes:
    return "".join(f"data: {json.dumps(each, ensure_ascii=False)}{newline}{newline}" for each in chunks).encode()


def decoded(body: bytes, content_type: str = SSE, *, streaming: bool = False, cuts: Iterable[int] = ()) -> Answer:
    return read(lambda answer: WIRE.decode_chat(asked(), answer, content_type), pieces(body, cuts), streaming=streaming)


def whole(value: Any) -> Answer:
    return decoded(json.dumps(value).encode(), JSON)


def failed(body: bytes, content_type: str = SSE) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        decoded(body, content_type)
    return caught.value


RICH = events(
    chunk({"text": "**Hm**", "thought": True}),
    chunk({"text": "Zwölf 🌊"}, index=0),
    chunk({"text": " Boxkämpfer"}),
    chunk({"text": "", "thoughtSignature": "s1"}),
    chunk({"functionCall": {"name": "add", "args": {"a": 12345678901234567890, "b": [1.0]}}, "thoughtSignature": "s2"}),
    chunk({"functionCall": {"name": "add", "id": "own", "args": {}}}, {"text": ""}),
    chunk({"executableCode": {"language": "PYTHON", "code": "print(1)", "id": "e1"}, "thoughtSignature": "s3"}),
    chunk({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n", "id": "e1"}}),
    chunk({"inlineData": {"mimeType": "image/png", "data": "-__-"}}),
    chunk({"text": "done", "thoughtSignature": "s4"}),
    chunk({"text": "."}, finish="STOP"),
)


@given(cuts=st.lists(st.integers(0, len(RICH)), max_size=40), streaming=st.booleans())
def test_cuts_do_not_matter(cuts: list[int], streaming: bool) -> None:
    (told,) = decoded(RICH, cuts=cuts, streaming=streaming).candidates()
    (expected,) = decoded(RICH).candidates()
    for candidate in (told, expected):
        candidate.message.parts[2].tool_call.call_id = "made up"
    assert told == expected


def test_every_kind_of_part_is_read() -> None:
    answer = decoded(RICH)
    (candidate,) = answer.candidates()
    own = candidate.message.parts
    kinds = [part.WhichOneof("kind") for part in own]
    assert kinds == ["reasoning", "text", *["tool_call"] * 3, "opaque", "image", "text", "text"]
    assert (own[0].reasoning.text, own[1].text.text) == ("**Hm**", "Zwölf 🌊 Boxkämpfer")
    assert own[2].tool_call.arguments_json == '{"a": 12345678901234567890, "b": [1.0]}'
    assert (own[2].tool_call.call_id[:5], own[3].tool_call.call_id) == ("call_", "own")
    assert own[4].tool_call.executor == content_pb2.TOOL_EXECUTOR_PROVIDER
    assert json.loads(own[4].tool_call.arguments_json)["code"] == "print(1)"
    assert own[5].opaque.type == "codeExecutionResult"
    assert (own[6].image.blob.data, own[6].image.blob.media_type) == (b"\xfb\xff\xfe", "image/png")
    assert (own[7].text.text, own[8].text.text) == ("done", ".")
    assert candidate.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS
    assert (candidate.provider_finish_reason, answer.response_id, answer.model) == ("STOP", "r1", "gemini-x")


def test_what_was_said_can_be_said_again() -> None:
    (candidate,) = decoded(RICH).candidates()
    blocks = sent_back(candidate.message)
    made_up = blocks[3]["functionCall"].pop("id")
    assert made_up == candidate.message.parts[2].tool_call.call_id
    assert blocks == [
        {"text": "**Hm**", "thought": True},
        {"text": "Zwölf 🌊 Boxkämpfer"},
        {"text": "", "thoughtSignature": "s1"},
        {"functionCall": {"name": "add", "args": {"a": 12345678901234567890, "b": [1.0]}}, "thoughtSignature": "s2"},
        {"functionCall": {"name": "add", "id": "own", "args": {}}},
        {"executableCode": {"language": "PYTHON", "code": "print(1)", "id": "e1"}, "thoughtSignature": "s3"},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n", "id": "e1"}},
        {"inlineData": {"mimeType": "image/png", "data": "+//+"}},
        {"text": "done", "thoughtSignature": "s4"},
        {"text": "."},
    ]


def test_signed_words_are_a_part_of_their_own() -> None:
    body = events(
        chunk({"text": "a"}), chunk({"text": "b", "thoughtSignature": "s"}), chunk({"text": "c"}, finish="STOP")
    )
    (candidate,) = decoded(body, streaming=True).candidates()
    assert sent_back(candidate.message) == [{"text": "a"}, {"text": "b", "thoughtSignature": "s"}, {"text": "c"}]


def test_candidates_without_a_number_stand_in_order() -> None:
    one, two = chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, finish="STOP")
    answer = whole({**one, "candidates": one["candidates"] + two["candidates"]})
    assert [each.message.parts[0].text.text for each in answer.candidates()] == ["a", "b"]


def test_hosted_tools_have_names_and_arguments() -> None:
    block = {"toolCall": {"id": "t1", "toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["x"]}}}
    answered = {"toolResponse": {"id": "t1", "toolType": "GOOGLE_SEARCH_WEB", "response": {}}}
    (candidate,) = whole(chunk(block, answered, {"text": "x"}, finish="STOP")).candidates()
    searched, found, _ = candidate.message.parts
    assert (searched.tool_call.call_id, searched.tool_call.name) == ("t1", "GOOGLE_SEARCH_WEB")
    assert json.loads(searched.tool_call.arguments_json) == {"queries": ["x"]}
    assert found.opaque.type == "toolResponse"
    assert candidate.finish_reason == chat_pb2.FINISH_REASON_STOP
    assert sent_back(candidate.message) == [block, answered, {"text": "x"}]


@pytest.mark.parametrize(
    ("block", "type_"),
    [
        ({"hologram": {"a": [1, 2]}}, "hologram"),
        ({"thoughtSignature": "s", "hologram": 1}, "hologram"),
        ({"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thought": True}, "inlineData"),
        ({"thought": True}, ""),
    ],
)
def test_unknown_blocks_are_kept(block: Any, type_: str) -> None:
    (candidate,) = whole(chunk({"text": "a"}, block, finish="STOP")).candidates()
    opaque = candidate.message.parts[1].opaque
    assert (opaque.provider, opaque.type, json.loads(opaque.json)) == ("gemini", type_, block)


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        ({"inlineData": {"mimeType": "audio/pcm", "data": "AAA="}}, "audio"),
        ({"inlineData": {"mimeType": "video/mp4", "data": "AAA"}}, "video"),
        ({"inlineData": {"mimeType": "application/pdf", "data": ""}}, "document"),
        ({"inlineData": {"data": "AAAA"}}, "document"),
        ({"fileData": {"mimeType": "image/png", "fileUri": "https://g.example/f"}}, "image"),
    ],
)
def test_media_are_told_apart(block: Any, kind: str) -> None:
    (candidate,) = whole(chunk({**block, "thoughtSignature": "s"}, finish="STOP")).candidates()
    (part,) = candidate.message.parts
    assert part.WhichOneof("kind") == kind
    assert json.loads(part.provider_state.data) == {"thoughtSignature": "s"}
    assert sent_back(candidate.message)


def test_a_list_of_chunks_is_an_answer_too() -> None:
    body = b" \n" + json.dumps([chunk({"text": "a"}), chunk({"text": "b"}, finish="MAX_TOKENS")]).encode()
    (candidate,) = decoded(body, JSON).candidates()
    assert candidate.message.parts[0].text.text == "ab"
    assert candidate.finish_reason == chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS


def test_candidates_grow_side_by_side() -> None:
    def both(first: str, second: str, **ends: str) -> Any:
        one, two = chunk({"text": first}, **ends), chunk({"text": second}, index=1, **ends)
        return {**one, "candidates": one["candidates"] + two["candidates"]}

    answer = decoded(events(both("a", "x"), both("b", "y", finish="STOP")), streaming=True)
    assert [each.message.parts[0].text.text for each in answer.candidates()] == ["ab", "xy"]


def test_one_unfinished_candidate_is_an_unfinished_answer() -> None:
    body = events(chunk({"text": "a"}, index=1), chunk({"text": "a"}, index=0, finish="STOP"))
    assert failed(body).kind == FailureKind.INTERRUPTED


@pytest.mark.parametrize("reason", [*FINISH_REASONS, "LANGUAGE", "NEW_REASON"])
def test_reasons_are_told(reason: str) -> None:
    (candidate,) = whole({"candidates": [{"content": {}, "finishReason": reason}], "responseId": "r"}).candidates()
    assert candidate.finish_reason == FINISH_REASONS.get(reason, chat_pb2.FINISH_REASON_OTHER)
    assert candidate.provider_finish_reason == reason


def test_an_unspecified_reason_is_no_end() -> None:
    body = events(chunk({"text": "a"}, finish="FINISH_REASON_UNSPECIFIED"), chunk({"text": "b"}, finish="STOP"))
    (candidate,) = decoded(body).candidates()
    assert candidate.message.parts[0].text.text == "ab"


def test_a_reason_that_comes_twice_counts_once() -> None:
    (candidate,) = decoded(events(chunk({"text": "a"}, finish="STOP"), chunk(finish="OTHER"))).candidates()
    assert candidate.provider_finish_reason == "STOP"


def test_the_last_usage_counts() -> None:
    first, last = chunk({"text": "a"}), chunk({"text": "b"}, finish="STOP")
    last["usageMetadata"] = {
        "promptTokenCount": 20, "cachedContentTokenCount": 8, "toolUsePromptTokenCount": 5, "thoughtsTokenCount": 7,
        "candidatesTokenCount": 2,
    }  # fmt: skip
    assert decoded(events(first, last)).usage == usage_pb2.Usage(
        input_tokens=25,
        cached_input_tokens=8,
        output_tokens=9,
        reasoning_output_tokens=7,
        source=usage_pb2.USAGE_SOURCE_PROVIDER,
    )


def test_sound_in_the_question_is_counted_apart() -> None:
    last = chunk({"text": "b"}, finish="STOP")
    details = [{"modality": "AUDIO", "tokenCount": 15}, {"modality": "TEXT", "tokenCount": 5}, {"modality": "AUDIO"}]
    last["usageMetadata"] = {"promptTokenCount": 20, "candidatesTokenCount": 2, "promptTokensDetails": details}
    usage = decoded(events(last)).usage
    assert usage is not None
    assert dict(usage.unit_counts) == {"input_audio": 15}


def test_usage_is_known_before_the_end() -> None:
    answer = Answer(streaming=True)
    WIRE.decode_chat(asked(), answer, SSE).feed(events(chunk({"text": "a"})))
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (10, 3)


@pytest.mark.parametrize(("told", "counted"), [(-5, 0), (None, 0), (10**30, 2**63 - 1), (4.0, 4)])
def test_strange_counts_are_clamped(told: Any, counted: int) -> None:
    answer = whole({**chunk(finish="STOP"), "usageMetadata": {"promptTokenCount": told, "candidatesTokenCount": told}})
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (counted, counted)


GROUNDING = {
    "webSearchQueries": ["q1", "q2"],
    "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}, {"retrievedContext": {"title": "B"}}],
    "groundingSupports": [
        {"segment": {"endIndex": 6, "text": "Äpfel"}, "groundingChunkIndices": [0, 1, 9]},
        {"segment": {"startIndex": 7, "endIndex": 9, "text": "gut"}, "groundingChunkIndices": [0]},
    ],
}


def test_sources_are_cited_in_characters() -> None:
    body = events(
        chunk({"text": "Äpfel "}, groundingMetadata={}),
        chunk({"text": "sind gut"}),
        chunk({"text": "", "thoughtSignature": "s"}, finish="STOP", groundingMetadata=GROUNDING),
    )
    answer = decoded(body, streaming=True)
    (candidate,) = answer.candidates()
    said, note = candidate.message.parts
    assert [(each.title, each.uri, each.start_index, each.end_index) for each in said.text.citations] == [
        ("A", "https://a.example", 0, 5),
        ("B", "", 0, 5),
        ("A", "https://a.example", 11, 14),
    ]
    assert json.loads(said.text.citations[1].provider_json) == {"retrievedContext": {"title": "B"}}
    assert (note.opaque.type, json.loads(note.opaque.json)) == ("groundingMetadata", GROUNDING)
    assert answer.usage is not None
    assert dict(answer.usage.unit_counts) == {"searches": 2}


def test_repeated_works_are_cited() -> None:
    sources = {"citationSources": [{"startIndex": 0, "endIndex": 2, "uri": "https://b.example", "license": "MIT"}]}
    (candidate,) = whole(chunk({"text": "ab"}, finish="RECITATION", citationMetadata=sources)).candidates()
    (citation,) = candidate.message.parts[0].text.citations
    assert (citation.uri, citation.start_index, citation.end_index) == ("https://b.example", 0, 2)
    assert json.loads(citation.provider_json)["license"] == "MIT"


@pytest.mark.parametrize(
    ("start", "end", "words", "expected"),
    [
        (0, 3, "", (0, 2)),
        (0, 2, "", (0, 1)),
        (0, 3, "aß", (0, 2)),
        (0, 1, "c", (3, 4)),
        (0, 1, "x", (0, 0)),
        (-1, 2, "", (0, 0)),
        (3, 99, "", (0, 0)),
    ],
)
def test_spans_are_counted_in_characters(start: int, end: int, words: str, expected: tuple[int, int]) -> None:
    assert span("aß c", start, end, words) == expected


def test_probabilities_are_told() -> None:
    logprobs = {
        "chosenCandidates": [{"token": "a", "tokenId": 1, "logProbability": -0.5}, {"token": "b"}],
        "topCandidates": [
            {"candidates": [{"token": "a", "logProbability": -0.5}, {"token": "c", "logProbability": -2}]}
        ],
    }
    (candidate,) = whole(chunk({"text": "ab"}, finish="STOP", logprobsResult=logprobs)).candidates()
    first, second = candidate.logprobs
    assert (first.token, first.logprob, [each.token for each in first.alternatives]) == ("a", -0.5, ["a", "c"])
    assert (second.token, second.logprob, list(second.alternatives)) == ("b", 0.0, [])


# Answers that are none.


@pytest.mark.parametrize("content_type", ["text/html", "", "application/octet-stream", "application/jsonp"])
def test_other_kinds_of_body_are_broken(content_type: str) -> None:
    assert failed(b"{}", content_type).kind == FailureKind.BROKEN


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b"null", b"<html>", b"[" * 100_000, b'{"candidates": [{}]}', b'{"candidates": {}}',
        b'{"candidates": [{"content": {"parts": [{"text": 3}]}, "finishReason": "STOP"}]}',
        b'{"candidates": [{"content": {"parts": [{"text": "\xff"}]}, "finishReason": "STOP"}]}',
        b'{"candidates": [{"content": {"parts": [{"x": "\xff"}]}, "finishReason": "STOP"}]}',
        b'{"candidates": [{"content": {"parts": [{"inlineData": {"data": "?"}}]}, "finishReason": "STOP"}]}',
        b'{"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP", "index": -1}]}',
        b'{"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP", "index": 99999999999}]}',
        b'{"candidates": [{"content": {"parts": [{"text": "a"}]}}]}',
    ],
)  # fmt: skip
def test_bodies_that_cannot_be_read_are_broken(body: bytes) -> None:
    assert failed(body, JSON).kind == FailureKind.BROKEN


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FailureKind.BROKEN),
        (b": only a comment\n\n", FailureKind.BROKEN),
        (b"data: {oops\n\n", FailureKind.BROKEN),
        (events(chunk({"text": "a"})), FailureKind.INTERRUPTED),
        (events(chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"})), FailureKind.BROKEN),
    ],
)
def test_streams_that_do_not_end_well(body: bytes, kind: FailureKind) -> None:
    assert failed(body).kind == kind


def test_the_last_event_may_lack_its_blank_line() -> None:
    (candidate,) = decoded(events(chunk({"text": "a"}, finish="STOP")).rstrip()).candidates()
    assert candidate.finish_reason == chat_pb2.FINISH_REASON_STOP


def test_a_blocked_question_is_filtered_and_used_what_it_used() -> None:
    answer = Answer(streaming=True)
    decoder = WIRE.decode_chat(asked(), answer, SSE)
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 4}}
    with pytest.raises(UpstreamFailure) as caught:
        decoder.feed(events(blocked))
    assert (caught.value.kind, caught.value.code) == (FailureKind.FILTERED, "PROHIBITED_CONTENT")
    assert answer.usage is not None
    assert answer.usage.input_tokens == 4


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 503, "status": "UNAVAILABLE", "message": "The model is overloaded."}, FailureKind.THROTTLED),
        ({"code": 500, "status": "INTERNAL"}, FailureKind.TRANSIENT),
        ({"code": 429, "status": "RESOURCE_EXHAUSTED"}, FailureKind.THROTTLED),
        ({"code": 200}, FailureKind.TRANSIENT),
        ({}, FailureKind.TRANSIENT),
        ("boom", FailureKind.TRANSIENT),
    ],
)
def test_errors_inside_good_answers_are_errors(error: Any, kind: FailureKind) -> None:
    assert failed(events(chunk({"text": "a"}), {"error": error})).kind == kind
    assert failed(json.dumps([{"error": error}]).encode(), JSON).kind == kind


FIELDS = (
    *("candidates", "content", "parts", "text", "functionCall", "args", "finishReason", "index", "error", "message"),
    *("inlineData", "groundingMetadata", "usageMetadata", "promptTokenCount", "thoughtSignature", "details", "x"),
)


@given(
    body=st.binary(max_size=80)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(FIELDS),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
)
def test_no_body_raises_anything_else(body: bytes) -> None:
    assert WIRE.failure(400, {}, body).http_status == 400
    for framed, content_type in ((body, JSON), (b"data: " + body + b"\n\n", SSE)):
        with suppress(UpstreamFailure):
            decoded(framed, content_type, streaming=True)


# Failures.


def error(status: str = "", message: str = "", *details: Any) -> bytes:
    return json.dumps({"error": {"code": 1, "message": message, "status": status, "details": details}}).encode()


def quota(quota_id: str, value: str = "100") -> Any:
    return {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaId": quota_id, "quotaValue": value}],
    }


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "4.5s"}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
TOO_LONG = "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576)."


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, error("INVALID_ARGUMENT", "x", BAD_KEY), FailureKind.AUTH, "API_KEY_INVALID"),
        (400, b"[" + error("INVALID_ARGUMENT", "x", BAD_KEY) + b"]", FailureKind.AUTH, "API_KEY_INVALID"),
        (400, error("INVALID_ARGUMENT", "x", "odd", {"reason": 3}, BAD_KEY), FailureKind.AUTH, "API_KEY_INVALID"),
        (400, error("INVALID_ARGUMENT", "API key expired. Please renew."), FailureKind.AUTH, "INVALID_ARGUMENT"),
        (400, error("INVALID_ARGUMENT", "Invalid value at 'x'"), FailureKind.INVALID, "INVALID_ARGUMENT"),
        (400, error("INVALID_ARGUMENT", TOO_LONG), FailureKind.CONTEXT_TOO_LONG, "INVALID_ARGUMENT"),
        (400, error("FAILED_PRECONDITION", "User location is not supported"), FailureKind.AUTH, "FAILED_PRECONDITION"),
        (400, error("FAILED_PRECONDITION", "File is not ACTIVE"), FailureKind.INVALID, "FAILED_PRECONDITION"),
        (403, error("PERMISSION_DENIED", "unregistered callers"), FailureKind.AUTH, "PERMISSION_DENIED"),
        (403, error("PERMISSION_DENIED", "x", {"reason": "BILLING_DISABLED"}), FailureKind.QUOTA, "BILLING_DISABLED"),
        (403, error("PERMISSION_DENIED", "CachedContent not found"), FailureKind.INVALID, "PERMISSION_DENIED"),
        (404, error("NOT_FOUND", "models/g-9 is not found for API version"), FailureKind.MODEL_UNKNOWN, "NOT_FOUND"),
        (404, error("NOT_FOUND", "Requested entity was not found."), FailureKind.INVALID, "NOT_FOUND"),
        (429, error("RESOURCE_EXHAUSTED", "x", quota("PerMinute"), RETRY), FailureKind.THROTTLED, "RESOURCE_EXHAUSTED"),
        (429, error("RESOURCE_EXHAUSTED", "x", quota("PerDay"), RETRY), FailureKind.QUOTA, "RESOURCE_EXHAUSTED"),
        (429, error("RESOURCE_EXHAUSTED", "x", quota("PerMinute", "0")), FailureKind.QUOTA, "RESOURCE_EXHAUSTED"),
        (429, error("RESOURCE_EXHAUSTED", "Your credits are depleted."), FailureKind.QUOTA, "RESOURCE_EXHAUSTED"),
        (500, error("INTERNAL", "An internal error has occurred."), FailureKind.TRANSIENT, "INTERNAL"),
        (503, error("UNAVAILABLE", "The model is overloaded."), FailureKind.THROTTLED, "UNAVAILABLE"),
        (503, error("UNAVAILABLE", "x"), FailureKind.TRANSIENT, "UNAVAILABLE"),
        (504, error("DEADLINE_EXCEEDED", "x"), FailureKind.TRANSIENT, "DEADLINE_EXCEEDED"),
        (401, b"", FailureKind.AUTH, ""),
        (404, b"<html>Not Found</html>", FailureKind.INVALID, ""),
        (429, b'{"error": "slow down"}', FailureKind.THROTTLED, ""),
        (502, b"\xff\xfe", FailureKind.TRANSIENT, ""),
        (302, b"", FailureKind.BROKEN, ""),
    ],
)
def test_failures_are_told_apart(status: int, body: bytes, kind: FailureKind, code: str) -> None:
    failure = WIRE.failure(status, {}, body)
    assert (failure.kind, failure.code, failure.http_status) == (kind, code, status)


@pytest.mark.parametrize(
    ("status", "headers", "body", "wait_s"),
    [
        (429, {}, error("RESOURCE_EXHAUSTED", "x", RETRY), 4.5),
        (429, {"retry-after": "9"}, error("RESOURCE_EXHAUSTED", "x", RETRY), 9.0),
        (429, {}, error("RESOURCE_EXHAUSTED", "Please retry in 48.939935699s."), 48.939935699),
        (429, {}, error("RESOURCE_EXHAUSTED", "x", {"retryDelay": "soon"}), None),
        (429, {}, error("RESOURCE_EXHAUSTED", "x", {"retryDelay": "0s"}), None),
        (429, {}, error("RESOURCE_EXHAUSTED", "x", {"retryDelay": "-5s"}), None),
        (400, {}, error("INVALID_ARGUMENT", "x", RETRY), None),
    ],
)
def test_how_long_to_wait_stands_in_the_body(status: int, headers: Any, body: bytes, wait_s: float | None) -> None:
    assert WIRE.failure(status, headers, body).retry_after_s == wait_s


def test_failures_say_nothing_that_the_provider_said() -> None:
    failure = WIRE.failure(400, {}, error("INVALID_ARGUMENT", "key AIzaSecret in project 123"))
    assert "AIza" not in str(failure) + repr(failure)
