"""Spells a question as the body of a chat request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire import dialect
from trunkline_server.wire.cohere.messages import encode_messages
from trunkline_server.wire.cohere.tools import encode_tools

SAMPLING: Final = ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed")
NAMES: Final = {"top_p": "p", "top_k": "k"}
RANGES: Final = {
    "top_p": (0.01, 0.99),
    "top_k": (0, 500),
    "frequency_penalty": (0.0, 1.0),
    "presence_penalty": (0.0, 1.0),
}
STOP_SEQUENCES_MAX: Final = 5
BUDGETS: Final[Mapping[int, int]] = {
    chat_pb2.REASONING_EFFORT_MINIMAL: 1024,
    chat_pb2.REASONING_EFFORT_LOW: 2048,
    chat_pb2.REASONING_EFFORT_MEDIUM: 8192,
    chat_pb2.REASONING_EFFORT_HIGH: 24576,
}


def encode_chat(ask: Ask) -> dict[str, object]:
    """The whole body; the caller's own further fields come last."""
    body: dict[str, object] = {"model": ask.model, **encode_messages(ask), **encode_tools(ask)}
    body.update(encode_sampling(ask))
    body.update(encode_thinking(ask))
    body.update(encode_output_format(ask.input.output_format))
    body["stream"] = ask.stream
    return dialect.merge(body, ask.options)


def encode_sampling(ask: Ask) -> Iterator[tuple[str, object]]:
    """How the model picks its words."""
    sampling = ask.input.sampling
    if ask.max_output_tokens is not None:
        yield "max_tokens", ask.max_output_tokens
    for field in SAMPLING:
        if sampling.HasField(field):
            yield NAMES.get(field, field), _moved(getattr(sampling, field), field, ask)
    if sampling.candidate_count > 1:
        ask.drop("sampling.candidate_count", "the provider gives one answer")
    if sampling.stop_sequences:
        yield "stop_sequences", _stop_sequences(ask)
    if sampling.HasField("top_logprobs"):
        yield "logprobs", True
        if sampling.top_logprobs:
            ask.adjust("sampling.top_logprobs", "the provider tells no alternatives")


def _moved(value: float, field: str, ask: Ask) -> float:
    least, most = RANGES.get(field, (value, value))
    moved = min(max(value, least), most)
    if moved != value:
        ask.adjust(f"sampling.{field}", f"moved to {moved}; the provider takes {least} to {most}")
    return moved


def _stop_sequences(ask: Ask) -> list[str]:
    stops = list(ask.input.sampling.stop_sequences)
    if len(stops) > STOP_SEQUENCES_MAX:
        ask.adjust("sampling.stop_sequences", f"the provider takes the first {STOP_SEQUENCES_MAX}")
    return stops[:STOP_SEQUENCES_MAX]


def encode_thinking(ask: Ask) -> Iterator[tuple[str, object]]:
    """How much the model thinks: the dialect knows a budget, no efforts."""
    reasoning = ask.input.reasoning
    if reasoning.HasField("include_text") and not reasoning.include_text:
        ask.drop("reasoning.include_text", "the provider always shows what the model thinks")
    if reasoning.HasField("budget_tokens"):
        yield "thinking", _thinking(reasoning.budget_tokens)
    elif reasoning.effort:
        yield "thinking", _thinking(BUDGETS.get(reasoning.effort, 0))


def _thinking(budget_tokens: int) -> dict[str, object]:
    return {"type": "enabled", "token_budget": budget_tokens} if budget_tokens else {"type": "disabled"}


def encode_output_format(output_format: content_pb2.OutputFormat) -> Iterator[tuple[str, object]]:
    """What shape the answer has."""
    kind = output_format.WhichOneof("kind")
    if kind == "json_object":
        yield "response_format", {"type": "json_object"}
    elif kind == "json_schema":
        schema = dialect.raw(output_format.json_schema.json_schema)
        yield "response_format", {"type": "json_object", "json_schema": schema}
