"""A question as the body of a Messages request."""

from __future__ import annotations

from typing import Final

from trunkline_server.core.ask import Ask
from trunkline_server.wire.anthropic.messages import encode_messages, encode_system
from trunkline_server.wire.anthropic.models import ModelFacts
from trunkline_server.wire.anthropic.output import encode_output
from trunkline_server.wire.anthropic.thinking import Thinking, encode_thinking
from trunkline_server.wire.anthropic.tools import encode_tool_choice, encode_tools
from trunkline_server.wire.dialect import merge

ANSWER_TOKENS: Final = 4096  # the API demands a cap; thoughts come on top
TEMPERATURE_MAX: Final = 1.0
TOP_P_THINKING_MIN: Final = 0.95

_UNSUPPORTED: Final = ("frequency_penalty", "presence_penalty", "seed", "top_logprobs")
_FIXED: Final = "the model picks its words itself"


def encode_chat(ask: Ask, facts: ModelFacts) -> dict[str, object]:
    """The body, the caller's own further fields last."""
    thinking = encode_thinking(ask, facts)
    output = encode_output(ask)
    body: dict[str, object] = {"model": ask.model, "max_tokens": _cap(ask, thinking)}
    system = encode_system(ask)
    if output.instruction:
        system.append({"type": "text", "text": output.instruction})
    _put(body, system=system, messages=encode_messages(ask))
    _put_tools(body, ask, facts)
    effort = {"effort": thinking.effort} if thinking.effort else {}
    shape = {"format": output.format} if output.format else {}
    _put(body, thinking=dict(thinking.block), output_config={**effort, **shape})
    _put(body, **_sampling(ask, facts, thinking), stop_sequences=list(ask.input.sampling.stop_sequences))
    _put(body, metadata={"user_id": ask.end_user} if ask.end_user else {}, stream=ask.stream)
    return merge(body, ask.options)


def _put(body: dict[str, object], **fields: object) -> None:
    """Put in the fields that say something; zero says something, empty and false do not."""
    body.update({name: value for name, value in fields.items() if value or (value == 0 and value is not False)})


def _cap(ask: Ask, thinking: Thinking) -> int:
    return ask.max_output_tokens or ANSWER_TOKENS + thinking.budget_tokens


def _put_tools(body: dict[str, object], ask: Ask, facts: ModelFacts) -> None:
    tools = encode_tools(ask)
    if tools:
        _put(body, tools=tools, tool_choice=encode_tool_choice(ask, facts))


def _sampling(ask: Ask, facts: ModelFacts, thinking: Thinking) -> dict[str, object]:
    """What the caller set, without what the model refuses: a wrong value is an error there, not a hint."""
    sampling = ask.input.sampling
    for name in _UNSUPPORTED:
        if sampling.HasField(name):
            ask.drop(f"sampling.{name}", "the provider has no such parameter")
    if sampling.candidate_count > 1:
        ask.drop("sampling.candidate_count", "the provider gives one answer")
    fields: dict[str, object] = {}
    if sampling.HasField("temperature"):
        fields.update(_temperature(ask, facts, thinking))
    if sampling.HasField("top_p"):
        fields.update(_top_p(ask, facts, thinking, "temperature" in fields))
    if sampling.HasField("top_k"):
        fields.update(_top_k(ask, facts, thinking))
    return fields


def _temperature(ask: Ask, facts: ModelFacts, thinking: Thinking) -> dict[str, object]:
    temperature = ask.input.sampling.temperature
    if temperature != TEMPERATURE_MAX and (facts.adaptive or thinking.on):
        ask.drop("sampling.temperature", _FIXED)
        return {}
    if temperature > TEMPERATURE_MAX:
        ask.adjust("sampling.temperature", "moved to 1, the most the provider takes")
    return {} if facts.adaptive else {"temperature": min(temperature, TEMPERATURE_MAX)}


def _top_p(ask: Ask, facts: ModelFacts, thinking: Thinking, has_temperature: bool) -> dict[str, object]:  # noqa: FBT001
    top_p = ask.input.sampling.top_p
    if facts.adaptive or (thinking.on and top_p < TOP_P_THINKING_MIN):
        ask.drop("sampling.top_p", _FIXED)
        return {}
    if facts.one_sampling and has_temperature:
        ask.drop("sampling.top_p", "the model takes temperature or top_p, not both")
        return {}
    return {"top_p": top_p}


def _top_k(ask: Ask, facts: ModelFacts, thinking: Thinking) -> dict[str, object]:
    if facts.adaptive or thinking.on:
        ask.drop("sampling.top_k", _FIXED)
        return {}
    return {"top_k": ask.input.sampling.top_k}
