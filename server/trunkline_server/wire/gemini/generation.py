"""Spells how the answer is to be made: sampling, length, shape, thinking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire.dialect import raw

SAMPLING: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "candidate_count": "candidateCount",
}
STOP_SEQUENCES_MAX: Final = 5
SEED_MAX: Final = 2**31 - 1

LEVELS: Final[Mapping[chat_pb2.ReasoningEffort.ValueType, str]] = {
    chat_pb2.REASONING_EFFORT_NONE: "minimal",
    chat_pb2.REASONING_EFFORT_MINIMAL: "minimal",
    chat_pb2.REASONING_EFFORT_LOW: "low",
    chat_pb2.REASONING_EFFORT_MEDIUM: "medium",
    chat_pb2.REASONING_EFFORT_HIGH: "high",
}
BUDGETS: Final[Mapping[chat_pb2.ReasoningEffort.ValueType, int]] = {
    chat_pb2.REASONING_EFFORT_NONE: 0,
    chat_pb2.REASONING_EFFORT_MINIMAL: 512,
    chat_pb2.REASONING_EFFORT_LOW: 1024,
    chat_pb2.REASONING_EFFORT_MEDIUM: 8192,
    chat_pb2.REASONING_EFFORT_HIGH: 24576,
}
# The large models cannot stop thinking, and the newer of them think at least a little.
LARGE: Final = "-pro"
LARGE_LEVEL_MIN: Final = "low"
LARGE_BUDGET_MIN: Final = 128

RESOLUTIONS: Final = {
    content_pb2.MEDIA_DETAIL_LOW: "MEDIA_RESOLUTION_LOW",
    content_pb2.MEDIA_DETAIL_HIGH: "MEDIA_RESOLUTION_HIGH",
}


def encode_generation(ask: Ask, *, early: bool) -> dict[str, object]:
    """The settings that the caller made; what is unset stays the provider's."""
    config = encode_sampling(ask)
    if ask.max_output_tokens is not None:
        config["maxOutputTokens"] = ask.max_output_tokens
    config.update(encode_format(ask))
    config.update(encode_resolution(ask))
    thinking = encode_thinking(ask, early=early)
    if thinking:
        config["thinkingConfig"] = thinking
    return config


def encode_sampling(ask: Ask) -> dict[str, object]:
    """How the model picks its words."""
    sampling = ask.input.sampling
    config: dict[str, object] = {
        name: getattr(sampling, field) for field, name in SAMPLING.items() if _is_set(sampling, field)
    }
    if sampling.HasField("top_logprobs"):
        config["responseLogprobs"] = True
        if sampling.top_logprobs:
            config["logprobs"] = sampling.top_logprobs
    if sampling.HasField("seed"):
        config["seed"] = _seed(ask, sampling.seed)
    if sampling.stop_sequences:
        config["stopSequences"] = _stop_sequences(ask, list(sampling.stop_sequences))
    return config


def encode_format(ask: Ask) -> dict[str, object]:
    """The shape of the answer; the provider always holds the model to a schema."""
    output = ask.input.output_format
    match output.WhichOneof("kind"):
        case "json_object":
            return {"responseMimeType": "application/json"}
        case "json_schema":
            if output.json_schema.description:
                ask.drop("output_format.json_schema.description", "this provider reads only the schema itself")
            return {"responseMimeType": "application/json", "responseJsonSchema": raw(output.json_schema.json_schema)}
        case None:
            return {}


def encode_resolution(ask: Ask) -> dict[str, object]:
    """How closely to look: one answer for all pictures, the closest that was asked for."""
    asked = {
        part.image.detail
        for message in ask.input.messages
        for part in message.parts
        if part.image.detail in RESOLUTIONS
    }
    if len(asked) > 1:
        ask.adjust("messages", "this provider looks at all pictures in the same detail; the highest was taken")
    return {"mediaResolution": RESOLUTIONS[max(asked)]} if asked else {}


def encode_thinking(ask: Ask, *, early: bool) -> dict[str, object]:
    """How much to think: a budget in tokens where one is set or the model knows nothing else, else a level."""
    reasoning = ask.input.reasoning
    config: dict[str, object] = {}
    if reasoning.HasField("include_text"):
        config["includeThoughts"] = reasoning.include_text
    if reasoning.HasField("budget_tokens"):
        if reasoning.effort:
            ask.drop("reasoning.effort", "this provider takes a budget or an effort; the budget was taken")
        config["thinkingBudget"] = reasoning.budget_tokens
    elif reasoning.effort:
        config.update(_budget(ask, reasoning.effort) if early else _level(ask, reasoning.effort))
    return config


def _budget(ask: Ask, effort: chat_pb2.ReasoningEffort.ValueType) -> dict[str, object]:
    budget = BUDGETS[effort]
    if LARGE in ask.model and budget < LARGE_BUDGET_MIN:
        _adjust_effort(ask)
        budget = LARGE_BUDGET_MIN
    return {"thinkingBudget": budget}


def _level(ask: Ask, effort: chat_pb2.ReasoningEffort.ValueType) -> dict[str, object]:
    level = LEVELS[effort]
    if LARGE in ask.model and level == LEVELS[chat_pb2.REASONING_EFFORT_MINIMAL]:
        _adjust_effort(ask)
        return {"thinkingLevel": LARGE_LEVEL_MIN}
    if effort == chat_pb2.REASONING_EFFORT_NONE:
        _adjust_effort(ask)
    return {"thinkingLevel": level}


def _adjust_effort(ask: Ask) -> None:
    ask.adjust("reasoning.effort", "this model cannot think that little; it was asked to think as little as it can")


def _seed(ask: Ask, seed: int) -> int:
    if -SEED_MAX <= seed <= SEED_MAX:
        return seed
    ask.adjust("sampling.seed", "this provider takes 32 bits; the remainder was taken")
    return seed % SEED_MAX


def _stop_sequences(ask: Ask, sequences: list[str]) -> list[str]:
    if len(sequences) > STOP_SEQUENCES_MAX:
        ask.adjust("sampling.stop_sequences", f"this provider takes {STOP_SEQUENCES_MAX}; the first ones were taken")
    return sequences[:STOP_SEQUENCES_MAX]


def _is_set(sampling: chat_pb2.Sampling, field: str) -> bool:
    return any(known.name == field for known, _ in sampling.ListFields())
