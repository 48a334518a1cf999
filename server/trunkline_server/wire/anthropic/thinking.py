"""How much the model thinks: our efforts and budgets as this dialect's thinking block and effort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire.anthropic.models import ModelFacts

BUDGETS: Final[Mapping[int, int]] = {
    chat_pb2.REASONING_EFFORT_MINIMAL: 1024,
    chat_pb2.REASONING_EFFORT_LOW: 2048,
    chat_pb2.REASONING_EFFORT_MEDIUM: 8192,
    chat_pb2.REASONING_EFFORT_HIGH: 24576,
}
EFFORTS: Final[Mapping[int, str]] = {
    chat_pb2.REASONING_EFFORT_MINIMAL: "low",
    chat_pb2.REASONING_EFFORT_LOW: "low",
    chat_pb2.REASONING_EFFORT_MEDIUM: "medium",
    chat_pb2.REASONING_EFFORT_HIGH: "high",
}
BUDGET_MIN: Final = 1024
SHARE_MAX: Final = 0.8  # an effort leaves the answer a fifth of the cap


@dataclass(frozen=True, slots=True)
class Thinking:
    """`block` is the `thinking` field; `effort` belongs into `output_config`. Empty: the model's default."""

    block: Mapping[str, object] = field(default_factory=dict)
    effort: str = ""

    @property
    def on(self) -> bool:
        """Whether it was asked for."""
        return bool(self.block) and self.block["type"] != "disabled"

    @property
    def budget_tokens(self) -> int:
        """What it may take of the output, where it has a budget."""
        budget = self.block.get("budget_tokens", 0)
        return budget if isinstance(budget, int) else 0


def encode_thinking(ask: Ask, facts: ModelFacts) -> Thinking:
    """What the caller wants, as far as the model and the rest of the question allow it."""
    wanted = ask.input.reasoning
    if _is_off(wanted):
        return _switched_off(ask, facts)
    if not (wanted.effort or wanted.HasField("budget_tokens") or (facts.adaptive and wanted.HasField("include_text"))):
        return Thinking()
    if _forces_tool(ask.input) and not facts.always_thinks:
        ask.drop("reasoning", "the model cannot think before a tool call that it is forced to make")
        return Thinking({"type": "disabled"}) if facts.adaptive else Thinking()
    return _adaptive(wanted) if facts.adaptive else _budgeted(ask, wanted)


def _is_off(wanted: chat_pb2.Reasoning) -> bool:
    if wanted.HasField("budget_tokens"):
        return wanted.budget_tokens == 0
    return wanted.effort == chat_pb2.REASONING_EFFORT_NONE


def _switched_off(ask: Ask, facts: ModelFacts) -> Thinking:
    if facts.always_thinks:
        ask.adjust("reasoning", "the model always thinks; it thinks as little as it can")
        return Thinking(effort="low")
    return Thinking({"type": "disabled"}) if facts.adaptive else Thinking()


def _adaptive(wanted: chat_pb2.Reasoning) -> Thinking:
    effort = EFFORTS.get(wanted.effort) or _nearest_effort(wanted)
    return Thinking({"type": "adaptive", **_display(wanted)}, effort)


def _nearest_effort(wanted: chat_pb2.Reasoning) -> str:
    if not wanted.HasField("budget_tokens"):
        return ""
    return EFFORTS[min(BUDGETS, key=lambda effort: abs(BUDGETS[effort] - wanted.budget_tokens))]


def _budgeted(ask: Ask, wanted: chat_pb2.Reasoning) -> Thinking:
    if ask.max_output_tokens is not None and ask.max_output_tokens <= BUDGET_MIN:
        ask.drop("reasoning", f"the model only thinks where it may write more than {BUDGET_MIN} tokens")
        return Thinking()
    if _has_unexplained_calls(ask.input, ask.provider):
        ask.drop("reasoning", "the model only thinks where it can see its thoughts from before its last tool calls")
        return Thinking()
    return Thinking({"type": "enabled", "budget_tokens": _budget(ask, wanted), **_display(wanted)})


def _budget(ask: Ask, wanted: chat_pb2.Reasoning) -> int:
    cap = ask.max_output_tokens
    if not wanted.HasField("budget_tokens"):
        budget = BUDGETS[wanted.effort]
        return budget if cap is None else max(BUDGET_MIN, min(budget, int(cap * SHARE_MAX)))
    fitting = max(BUDGET_MIN, wanted.budget_tokens if cap is None else min(wanted.budget_tokens, cap - 1))
    if fitting != wanted.budget_tokens:
        ask.adjust("reasoning.budget_tokens", f"moved to {fitting}: at least {BUDGET_MIN}, and below the output's cap")
    return fitting


def _display(wanted: chat_pb2.Reasoning) -> dict[str, str]:
    if not wanted.HasField("include_text"):
        return {}
    return {"display": "summarized" if wanted.include_text else "omitted"}


def _forces_tool(question: chat_pb2.ChatInput) -> bool:
    choice = question.tool_choice
    return bool(question.tools) and (bool(choice.tool_name) or choice.mode == content_pb2.TOOL_CHOICE_MODE_REQUIRED)


def _has_unexplained_calls(question: chat_pb2.ChatInput, provider: str) -> bool:
    """Whether a tool's result is due to calls whose turn does not begin with this provider's thoughts."""
    turn: list[content_pb2.Part] = []
    for message in reversed(question.messages):
        if message.role == content_pb2.ROLE_ASSISTANT:
            turn = [*message.parts, *turn]
        elif message.role in (content_pb2.ROLE_SYSTEM, content_pb2.ROLE_DEVELOPER):
            continue
        elif not any(part.HasField("tool_result") for part in message.parts):
            break
    calls = any(part.HasField("tool_call") for part in turn)
    return calls and not (turn[0].HasField("reasoning") and turn[0].provider_state.provider == provider)
