"""Spells a question as the body of a chat completion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire import dialect
from trunkline_server.wire.openai_chat.messages import encode_messages
from trunkline_server.wire.openai_chat.quirks import Quirks
from trunkline_server.wire.openai_chat.tools import encode_tool_choice, encode_tools

SAMPLING: Final = (
    *("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty"),
    *("candidate_count", "seed", "top_logprobs"),
)
EFFORTS: Final = {
    chat_pb2.REASONING_EFFORT_NONE: "none",
    chat_pb2.REASONING_EFFORT_MINIMAL: "minimal",
    chat_pb2.REASONING_EFFORT_LOW: "low",
    chat_pb2.REASONING_EFFORT_MEDIUM: "medium",
    chat_pb2.REASONING_EFFORT_HIGH: "high",
}
EFFORT_TOKENS: Final = ((0, "none"), (1024, "minimal"), (4096, "low"), (16384, "medium"))  # up to so many tokens


def encode_chat(ask: Ask, quirks: Quirks) -> dict[str, object]:
    """The whole body; the caller's own further fields come last."""
    body: dict[str, object] = {"model": ask.model, "messages": encode_messages(ask, quirks)}
    body.update(encode_sampling(ask, quirks))
    if ask.input.HasField("reasoning"):
        body.update(encode_reasoning(ask, quirks))
    if ask.input.tools:
        body.update(_encode_tools(ask, quirks))
    if ask.input.HasField("output_format"):
        body.update(encode_output_format(ask.input.output_format))
    if quirks.end_user_field and ask.end_user:
        body[quirks.end_user_field] = ask.end_user
    if ask.stream:
        body["stream"] = True
        if quirks.sends_stream_options:
            body["stream_options"] = {"include_usage": True}
    return dialect.merge(body, ask.options)


def encode_sampling(ask: Ask, quirks: Quirks) -> Iterator[tuple[str, object]]:
    """How the model picks its words."""
    if ask.max_output_tokens is not None:
        yield quirks.max_tokens_field, ask.max_output_tokens
    if not ask.input.HasField("sampling"):
        return
    sampling = ask.input.sampling
    for field in SAMPLING:
        if sampling.HasField(field):
            if field in quirks.sampling_fields:
                yield quirks.sampling_fields[field], getattr(sampling, field)
            else:
                ask.drop(f"sampling.{field}", "the provider has no such setting")
    if sampling.HasField("top_logprobs") and "top_logprobs" in quirks.sampling_fields:
        yield "logprobs", True
    if sampling.stop_sequences:
        yield "stop", _stop_sequences(ask, quirks)


def _stop_sequences(ask: Ask, quirks: Quirks) -> list[str]:
    stops = list(ask.input.sampling.stop_sequences)
    if len(stops) > quirks.stop_sequences_max:
        ask.adjust("sampling.stop_sequences", f"the provider takes the first {quirks.stop_sequences_max}")
    return stops[: quirks.stop_sequences_max]


def encode_reasoning(ask: Ask, quirks: Quirks) -> Iterator[tuple[str, object]]:
    """How hard the model thinks: the dialect knows efforts, no budgets."""
    reasoning = ask.input.reasoning
    if reasoning.effort:
        yield "reasoning_effort", EFFORTS[reasoning.effort]
    if reasoning.HasField("budget_tokens"):
        if reasoning.effort:
            ask.drop("reasoning.budget_tokens", "the provider takes the effort instead")
        else:
            ask.adjust("reasoning.budget_tokens", "the provider takes an effort; the nearest one was chosen")
            yield "reasoning_effort", _effort(reasoning.budget_tokens)
    if reasoning.HasField("include_text") and reasoning.include_text != bool(quirks.thoughts_field):
        ask.drop("reasoning.include_text", "the provider has no such choice")


def _effort(budget_tokens: int) -> str:
    return next((effort for tokens_max, effort in EFFORT_TOKENS if budget_tokens <= tokens_max), "high")


def _encode_tools(ask: Ask, quirks: Quirks) -> Iterator[tuple[str, object]]:
    tools = encode_tools(ask)
    if not tools:
        return
    yield "tools", tools
    if ask.input.HasField("tool_choice"):
        yield "tool_choice", encode_tool_choice(ask.input.tool_choice, quirks)
    if ask.input.HasField("parallel_tool_calls"):
        yield "parallel_tool_calls", ask.input.parallel_tool_calls


def encode_output_format(output_format: content_pb2.OutputFormat) -> Iterator[tuple[str, object]]:
    """What shape the answer has."""
    kind = output_format.WhichOneof("kind")
    if kind == "json_object":
        yield "response_format", {"type": "json_object"}
    elif kind == "json_schema":
        yield "response_format", {"type": "json_schema", "json_schema": _schema(output_format.json_schema)}


def _schema(wanted: content_pb2.JsonSchemaFormat) -> dict[str, object]:
    schema: dict[str, object] = {"name": wanted.name or "answer", "schema": dialect.raw(wanted.json_schema)}
    if wanted.description:
        schema["description"] = wanted.description
    if wanted.HasField("strict"):
        schema["strict"] = wanted.strict
    return schema
