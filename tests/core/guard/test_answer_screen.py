"""An answer through its screen: however it was cut, the same is told, and each part is the sum of its deltas."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.guard.test_screen import cut_texts
from trunkline.v1 import chat_pb2, content_pb2, guard_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.guard.answer_screen import AnswerScreen
from trunkline_server.core.guard.policy import Standing, stricter
from trunkline_server.core.guard.shield import Shield

REDACT, REFUSE = guard_pb2.GUARD_ACTION_REDACT, guard_pb2.GUARD_ACTION_REFUSE
OFF, STANDARD, STRICT = guard_pb2.GUARD_LEVEL_OFF, guard_pb2.GUARD_LEVEL_STANDARD, guard_pb2.GUARD_LEVEL_STRICT


def shield(action: guard_pb2.GuardAction.ValueType = REDACT, *, harm: bool = False) -> Shield:
    rule = guard_pb2.GuardRule(personal_data=STANDARD, action=action, harm=STANDARD if harm else OFF)
    armed = Standing(guard_pb2.GuardPolicy(guard=guard_pb2.Guard(input=rule, output=rule))).armed
    assert armed is not None
    return Shield(armed)


def streamed(
    guard: Shield, text: Sequence[str], arguments: Sequence[str]
) -> tuple[dict[int, str], dict[int, str], bool]:
    """What the deltas of each part say, what the whole parts say, and whether it was blocked."""
    answer, screen, events = Answer(streaming=True), AnswerScreen(guard, is_json=False), []
    for piece in text:
        answer.text(piece)
        events += screen.events(answer.drain())
    answer.tool_call(0, "c", "look")
    for piece in arguments:
        answer.arguments(0, piece)
        events += screen.events(answer.drain())
    answer.finish(chat_pb2.FINISH_REASON_STOP, "stop")
    events += screen.events(answer.drain())
    deltas: dict[int, str] = {}
    wholes: dict[int, str] = {}
    for event in events:
        if event.HasField("part_delta"):
            delta = event.part_delta
            deltas[delta.part_index] = deltas.get(delta.part_index, "") + delta.text + delta.arguments_json
        elif event.HasField("part_completed"):
            part = event.part_completed.part
            wholes[event.part_completed.part_index] = part.text.text + part.tool_call.arguments_json
    return deltas, wholes, screen.blocked


def whole(guard: Shield, text: str, arguments: str) -> list[str]:
    answer = Answer(streaming=False)
    answer.text(text)
    answer.tool_call(0, "c", "look")
    answer.arguments(0, arguments)
    answer.finish(chat_pb2.FINISH_REASON_STOP, "stop")
    candidates = answer.candidates()
    AnswerScreen(guard, is_json=False).candidates(candidates)
    return [part.text.text + part.tool_call.arguments_json for part in candidates[0].message.parts]


@pytest.mark.parametrize(("action", "harm"), [(REDACT, False), (REFUSE, False), (REDACT, True)])
@settings(max_examples=30)
@given(text=cut_texts(), said=cut_texts(), data=st.data())
def test_any_cut_tells_the_same(
    action: guard_pb2.GuardAction.ValueType,
    text: tuple[str, list[str]],
    said: tuple[str, list[str]],
    data: st.DataObject,
    *,
    harm: bool,
) -> None:
    arguments = json.dumps({"say": said[0], "n": 1})
    cut = data.draw(st.integers(0, len(arguments)))
    words = text[0] or "x"
    deltas, wholes, blocked = streamed(
        shield(action, harm=harm), text[1] if text[0] else ["x"], [arguments[:cut], arguments[cut:]]
    )
    again = streamed(shield(action, harm=harm), list(words), list(arguments))
    assert again == (deltas, wholes, blocked)
    assert {place: told for place, told in wholes.items() if told} == deltas
    assert [told for told in wholes.values() if told] == [
        each for each in whole(shield(action, harm=harm), words, arguments) if each
    ]
    if not blocked:
        json.loads(wholes[1])


def test_tool_calls_that_were_cut_cannot_be_run() -> None:
    answer = Answer(streaming=True)
    answer.tool_call(0, "c", "mail")
    answer.arguments(0, '{"to": "ann@example.org"}')
    answer.finish(chat_pb2.FINISH_REASON_TOOL_CALLS, "tool_calls")
    events = AnswerScreen(shield(REFUSE), is_json=False).events(answer.drain())
    (part,) = [event.part_completed.part for event in events if event.HasField("part_completed")]
    assert (part.tool_call.arguments_json, part.tool_call.state) == ('{"to": "', content_pb2.TOOL_CALL_STATE_INVALID)


def test_sources_are_looked_through() -> None:
    answer = Answer(streaming=True)
    answer.text("See")
    answer.citation(
        content_pb2.Citation(title="ann@example.org", cited_text="of bob@example.org", uri="https://a.example")
    )
    answer.finish(chat_pb2.FINISH_REASON_STOP, "stop")
    events = AnswerScreen(shield(), is_json=False).events(answer.drain())
    told = [event.part_delta.citation for event in events if event.part_delta.HasField("citation")]
    kept = next(event.part_completed.part.text.citations for event in events if event.HasField("part_completed"))
    assert [(each.title, each.cited_text, each.uri) for each in (*told, *kept)] == [
        ("[EMAIL]", "of [EMAIL]", "https://a.example")
    ] * 2


def test_the_stricter_word_counts_field_by_field() -> None:
    standing = guard_pb2.Guard(
        input=guard_pb2.GuardRule(harm=STRICT, personal_data=STANDARD), moderation_model="theirs"
    )
    own = guard_pb2.Guard(
        input=guard_pb2.GuardRule(harm=guard_pb2.GUARD_LEVEL_OFF, personal_data=STRICT, action=REFUSE),
        output=guard_pb2.GuardRule(harm=STANDARD),
        moderation_model="own",
    )
    assert stricter(standing, own) == guard_pb2.Guard(
        input=guard_pb2.GuardRule(harm=STRICT, personal_data=STRICT, action=REFUSE),
        output=guard_pb2.GuardRule(harm=STANDARD),
        moderation_model="theirs",
    )
