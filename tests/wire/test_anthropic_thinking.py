"""The Messages dialect: how much a model is to think, and when it may."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.anthropic import ALWAYS, FUNCTION, HIGH, LOW, NEW, OLD, REQUIRED, asked, spelled, state
from tests.wire.parts import ADJUSTED, ASSISTANT, DROPPED, SYSTEM, USER, call, result, says, text, warned
from trunkline.v1 import chat_pb2, content_pb2

NONE = chat_pb2.REASONING_EFFORT_NONE
ThinkingCase = tuple[str, int | None, dict[str, Any], Any, Any, list[tuple[int, str]]]
THINKING: list[ThinkingCase] = [
    (OLD, 9000, {}, None, None, []),
    (OLD, 9000, {"effort": LOW}, {"type": "enabled", "budget_tokens": 2048}, None, []),
    (OLD, 9000, {"effort": HIGH}, {"type": "enabled", "budget_tokens": 7200}, None, []),
    (OLD, None, {"effort": HIGH}, {"type": "enabled", "budget_tokens": 24576}, None, []),
    (OLD, 9000, {"effort": NONE}, None, None, []),
    (OLD, 9000, {"budget_tokens": 0}, None, None, []),
    (OLD, 9000, {"budget_tokens": 5000}, {"type": "enabled", "budget_tokens": 5000}, None, []),
    (
        OLD,
        9000,
        {"budget_tokens": 9000},
        {"type": "enabled", "budget_tokens": 8999},
        None,
        [(ADJUSTED, ".budget_tokens")],
    ),
    (OLD, 9000, {"budget_tokens": 5}, {"type": "enabled", "budget_tokens": 1024}, None, [(ADJUSTED, ".budget_tokens")]),
    (OLD, 1000, {"effort": LOW}, None, None, [(DROPPED, "")]),
    (OLD, 9000, {"include_text": True}, None, None, []),
    (
        OLD,
        9000,
        {"effort": LOW, "include_text": False},
        {"type": "enabled", "budget_tokens": 2048, "display": "omitted"},
        None,
        [],
    ),
    (NEW, 100, {"effort": LOW}, {"type": "adaptive"}, "low", []),
    (NEW, 100, {"budget_tokens": 9000}, {"type": "adaptive"}, "medium", []),
    (NEW, 100, {"effort": NONE}, {"type": "disabled"}, None, []),
    (NEW, 100, {"include_text": True}, {"type": "adaptive", "display": "summarized"}, None, []),
    (ALWAYS, 100, {"effort": NONE}, None, "low", [(ADJUSTED, "")]),
    (ALWAYS, 100, {"effort": HIGH}, {"type": "adaptive"}, "high", []),
]


@pytest.mark.parametrize("case", THINKING)
def test_spells_thinking(case: ThinkingCase) -> None:
    model, cap, wanted, thinking, effort, warnings = case
    ask = asked(model, cap, reasoning=chat_pb2.Reasoning(**wanted))
    body = spelled(ask)
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort
    assert warned(ask) == [(code, f"input.reasoning{path}") for code, path in warnings]


def test_leaves_room_for_the_answer_where_there_is_no_cap() -> None:
    assert spelled(asked(cap=None, reasoning=chat_pb2.Reasoning(budget_tokens=5000)))["max_tokens"] == 9096


def test_picks_words_freely_while_thinking() -> None:
    sampling = chat_pb2.Sampling(temperature=0.5, top_p=0.5, top_k=5)
    ask = asked(cap=9000, reasoning=chat_pb2.Reasoning(effort=LOW), sampling=sampling)
    assert not {"temperature", "top_p", "top_k"} & spelled(ask).keys()
    assert [path for _, path in warned(ask)] == [f"input.sampling.{each}" for each in ("temperature", "top_p", "top_k")]


@pytest.mark.parametrize(("model", "block"), [(OLD, None), (NEW, {"type": "disabled"})])
def test_does_not_think_before_a_forced_call(model: str, block: Any) -> None:
    ask = asked(model, 9000, tools=[FUNCTION], tool_choice=REQUIRED, reasoning=chat_pb2.Reasoning(effort=LOW))
    body = spelled(ask)
    assert body.get("thinking") == block
    assert body["tool_choice"] == {"type": "any"}
    assert warned(ask) == [(DROPPED, "input.reasoning")]


def thought(provider: str = "anthropic") -> content_pb2.Part:
    return content_pb2.Part(reasoning=content_pb2.ReasoningPart(text="hm"), provider_state=state(b"s", provider))


CITING = content_pb2.Part(text=content_pb2.TextPart(text="a"), provider_state=state(b"[]"))


@pytest.mark.parametrize(
    ("said", "thinks"),
    [
        ([says(ASSISTANT, thought(), call())], True),
        ([says(ASSISTANT, thought(), call()), says(USER, result()), says(ASSISTANT, call("c2"))], True),
        ([says(ASSISTANT, call())], False),
        ([says(ASSISTANT, thought("other"), call())], False),
        ([says(ASSISTANT, CITING, call())], False),
    ],
)
def test_thinks_on_only_after_its_own_thoughts(said: list[content_pb2.Message], thinks: bool) -> None:
    messages = [says(USER, text("a")), *said, says(USER, result()), says(SYSTEM, text("b"))]
    ask = asked(cap=9000, messages=messages, reasoning=chat_pb2.Reasoning(effort=LOW))
    assert ("thinking" in spelled(ask)) is thinks


def test_thinks_in_a_new_turn_whatever_the_last_one_was() -> None:
    messages = [says(USER, text("a")), says(ASSISTANT, call()), says(USER, result()), says(USER, text("b"))]
    assert "thinking" in spelled(asked(cap=9000, messages=messages, reasoning=chat_pb2.Reasoning(effort=LOW)))
