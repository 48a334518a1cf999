from __future__ import annotations

from collections.abc import Callable

import pytest

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.failure import FailureKind, UpstreamFailure

Teller = Callable[[Answer], None]


def told(*tellers: Teller, streaming: bool = False) -> Answer:
    answer = Answer(streaming=streaming)
    for tell in tellers:
        tell(answer)
    return answer


def parts(answer: Answer, candidate: int = 0) -> list[content_pb2.Part]:
    return list(answer.candidates()[candidate].message.parts)


def kinds(events: list[chat_pb2.ChatEvent]) -> list[str | None]:
    return [event.WhichOneof("event") for event in events]


def test_text_grows_into_one_part() -> None:
    answer = told(lambda a: a.text("Hel"), lambda a: a.text("lo"))
    assert [part.text.text for part in parts(answer)] == ["Hello"]
    assert answer.candidates()[0].message.role == content_pb2.ROLE_ASSISTANT
    assert (answer.delta_count, answer.output_chars, answer.has_content) == (2, 5, True)


def test_empty_text_is_nothing() -> None:
    answer = told(lambda a: a.text(""), lambda a: a.reasoning(""), lambda a: a.refusal(""), streaming=True)
    assert answer.drain() == []
    assert answer.candidates() == []
    assert not answer.has_content


def test_another_kind_begins_another_part() -> None:
    answer = told(
        lambda a: a.reasoning("Hm. "), lambda a: a.text("Yes"), lambda a: a.refusal("no"), lambda a: a.text("!")
    )
    assert [part.WhichOneof("kind") for part in parts(answer)] == ["reasoning", "text", "refusal", "text"]


def test_a_part_can_be_opened_by_hand() -> None:
    answer = told(lambda a: a.text("a"), lambda a: a.open_text(), lambda a: a.text("b"))
    assert [part.text.text for part in parts(answer)] == ["a", "b"]


def test_deltas_between_two_drains_are_one_event() -> None:
    answer = told(lambda a: a.text("a"), lambda a: a.text("b"), streaming=True)
    started, delta = answer.drain()
    assert started.part_started.part.WhichOneof("kind") == "text"
    assert delta.part_delta.text == "ab"
    answer.text("c")
    assert [event.part_delta.text for event in answer.drain()] == ["c"]
    assert answer.drain() == []


def test_events_keep_the_order_in_which_things_were_told() -> None:
    answer = told(lambda a: a.reasoning("x"), lambda a: a.text("y"), streaming=True)
    answer.finish(chat_pb2.FINISH_REASON_STOP, "stop")
    expected = ["part_started", "part_delta", "part_completed"]
    assert kinds(answer.drain()) == expected * 2
    assert kinds(answer.endings()) == ["candidate_completed"]


def test_who_does_not_stream_gets_no_events() -> None:
    answer = told(lambda a: a.text("a"), lambda a: a.finish(chat_pb2.FINISH_REASON_STOP, "stop"))
    assert answer.drain() == []


def test_parallel_tool_calls_grow_side_by_side() -> None:
    answer = Answer(streaming=True)
    answer.tool_call(0, "call_a", "first")
    answer.tool_call(1, "call_b", "second")
    answer.arguments(1, '{"b":')
    answer.arguments(0, '{"a":1}')
    answer.arguments(1, "2}")
    answer.finish(chat_pb2.FINISH_REASON_TOOL_CALLS, "tool_calls")
    calls = [part.tool_call for part in parts(answer)]
    assert [(call.call_id, call.name, call.arguments_json) for call in calls] == [
        ("call_a", "first", '{"a":1}'),
        ("call_b", "second", '{"b":2}'),
    ]
    deltas = [event.part_delta for event in answer.drain() if event.HasField("part_delta")]
    assert [(delta.part_index, delta.arguments_json) for delta in deltas] == [(1, '{"b":'), (0, '{"a":1}'), (1, "2}")]


@pytest.mark.parametrize(
    ("arguments", "text", "state"),
    [
        ("", "{}", content_pb2.TOOL_CALL_STATE_READY),
        ('{"n": 12345678901234567890}', '{"n": 12345678901234567890}', content_pb2.TOOL_CALL_STATE_READY),
        ("[1]", "[1]", content_pb2.TOOL_CALL_STATE_INVALID),
        ('{"cut": ', '{"cut": ', content_pb2.TOOL_CALL_STATE_INVALID),
    ],
)
def test_arguments_are_handed_on_as_they_came(arguments: str, text: str, state: int) -> None:
    answer = told(lambda a: a.tool_call(0, "c", "f"), lambda a: a.arguments(0, arguments))
    answer.close_part(key=0)
    call = parts(answer)[0].tool_call
    assert (call.arguments_json, call.state) == (text, state)


def test_ids_of_calls_are_unique() -> None:
    answer = told(
        lambda a: a.tool_call(0, "same", "f"), lambda a: a.tool_call(1, "same", "g"), lambda a: a.tool_call(2, "", "h")
    )
    ids = [part.tool_call.call_id for part in parts(answer)]
    assert ids[0] == "same"
    assert len(set(ids)) == 3
    assert all(ids)


def test_arguments_without_a_call_are_broken() -> None:
    with pytest.raises(UpstreamFailure) as failed:
        told(lambda a: a.tool_call(0, "c", "f"), lambda a: a.arguments(1, "{}"))
    assert failed.value.kind is FailureKind.BROKEN


@pytest.mark.parametrize(
    "late",
    [
        lambda a: a.text("more"),
        lambda a: a.tool_call(0, "c", "f"),
        lambda a: a.part(content_pb2.Part(image=content_pb2.ImagePart())),
        lambda a: a.citation(content_pb2.Citation(uri="https://example.org")),
    ],
)
def test_content_after_the_end_is_broken(late: Teller) -> None:
    answer = told(lambda a: a.text("a"), lambda a: a.finish(chat_pb2.FINISH_REASON_STOP, "stop"))
    with pytest.raises(UpstreamFailure) as failed:
        late(answer)
    assert failed.value.kind is FailureKind.BROKEN


def test_arguments_after_the_end_are_broken() -> None:
    answer = told(
        lambda a: a.tool_call(0, "c", "f"), lambda a: a.finish(chat_pb2.FINISH_REASON_TOOL_CALLS, "tool_calls")
    )
    with pytest.raises(UpstreamFailure):
        answer.arguments(0, "{}")


def test_the_first_finish_counts() -> None:
    answer = told(lambda a: a.text("a"))
    answer.finish(chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS, "length")
    answer.finish(chat_pb2.FINISH_REASON_STOP, "stop")
    (candidate,) = answer.candidates()
    assert (candidate.finish_reason, candidate.provider_finish_reason) == (
        chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS,
        "length",
    )


def test_finished_means_every_candidate() -> None:
    answer = Answer(streaming=False)
    assert not answer.finished
    answer.text("a", 0)
    answer.text("b", 1)
    answer.finish(chat_pb2.FINISH_REASON_STOP, "stop", candidate=1)
    assert not answer.finished
    answer.finish(chat_pb2.FINISH_REASON_STOP, "stop", candidate=0)
    assert answer.finished


def test_candidates_come_in_order_and_do_not_mix() -> None:
    answer = Answer(streaming=True)
    answer.text("b", 1)
    answer.text("a", 0)
    answer.text("B", 1)
    assert [candidate.message.parts[0].text.text for candidate in answer.candidates()] == ["a", "bB"]
    deltas = [event.part_delta for event in answer.drain() if event.HasField("part_delta")]
    assert [(delta.candidate_index, delta.text) for delta in deltas] == [(1, "b"), (0, "a"), (1, "B")]


def test_a_whole_part_closes_the_text_before_it() -> None:
    answer = told(lambda a: a.text("a"), streaming=True)
    answer.part(content_pb2.Part(opaque=content_pb2.OpaquePart(provider="p", type="t", json='{"x":1}')))
    answer.text("b")
    assert [part.WhichOneof("kind") for part in parts(answer)] == ["text", "opaque", "text"]
    started = [event.part_started.part for event in answer.drain() if event.HasField("part_started")]
    assert [part.WhichOneof("kind") for part in started] == ["text", "opaque", "text"]
    assert started[1].opaque.json == ""  # only the kind is known when a part begins


def test_a_citation_belongs_to_the_text_that_grows() -> None:
    source = content_pb2.Citation(title="T", uri="https://example.org")
    answer = told(lambda a: a.text("a"), lambda a: a.citation(source), lambda a: a.text("b"), streaming=True)
    (part,) = parts(answer)
    assert (part.text.text, list(part.text.citations)) == ("ab", [source])
    assert [event.part_delta.WhichOneof("delta") for event in answer.drain()[1:]] == ["text", "citation", "text"]


def test_state_belongs_to_the_part_that_grows_or_to_the_call() -> None:
    state = content_pb2.ProviderState(provider="p", model="m", data=b"s")
    answer = told(lambda a: a.reasoning("hm"), lambda a: a.state(state), lambda a: a.tool_call("k", "c", "f"))
    answer.state(content_pb2.ProviderState(data=b"t"), key="k")
    assert [part.provider_state.data for part in parts(answer)] == [b"s", b"t"]


def test_what_was_said_can_be_asked() -> None:
    answer = told(
        lambda a: a.refusal("no"), lambda a: a.tool_call(0, "c", "f", executor=content_pb2.TOOL_EXECUTOR_PROVIDER)
    )
    assert answer.has_refusal()
    assert not answer.has_tool_calls()  # the provider ran it
    answer.tool_call(1, "d", "g")
    assert answer.has_tool_calls()


def test_an_unfinished_answer_shows_what_is_there() -> None:
    answer = told(lambda a: a.text("half"), lambda a: a.tool_call(0, "c", "f"), lambda a: a.arguments(0, '{"a'))
    text, call = parts(answer)
    assert text.text.text == "half"
    assert call.tool_call.arguments_json == '{"a'


def test_the_first_identity_counts() -> None:
    answer = told(
        lambda a: a.identify("", ""), lambda a: a.identify("id", "model"), lambda a: a.identify("other", "other")
    )
    assert (answer.response_id, answer.model) == ("id", "model")


def test_growing_text_is_the_text_part_that_is_still_open() -> None:
    answer = told(lambda a: a.text("Hel"), lambda a: a.text("lo"))
    assert answer.growing_text() == "Hello"
    answer.reasoning("hm")
    assert answer.growing_text() == ""
