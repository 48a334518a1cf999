"""Spells a question as the body of a chat request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire import dialect
from trunkline_server.wire.ollama.messages import encode_messages
from trunkline_server.wire.ollama.tools import encode_tools

SAMPLING: Final = ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed")
EFFORTS: Final = {
    chat_pb2.REASONING_EFFORT_NONE: False,
    chat_pb2.REASONING_EFFORT_MINIMAL: "low",
    chat_pb2.REASONING_EFFORT_LOW: "low",
    chat_pb2.REASONING_EFFORT_MEDIUM: "medium",
    chat_pb2.REASONING_EFFORT_HIGH: "high",
}
EFFORT_TOKENS: Final = ((0, False), (4096, "low"), (16384, "medium"))  # up to so many tokens


def encode_chat(ask: Ask) -> dict[str, object]:
    """The whole body; the caller's own further fields come last."""
    body: dict[str, object] = {"model": ask.model, "messages": encode_messages(ask)}
    tools = encode_tools(ask)
    if tools:
        body["tools"] = tools
    body.update(encode_thinking(ask))
    body.update(encode_output_format(ask.input.output_format))
    body.update(encode_logprobs(ask))
    body["options"] = dict(encode_sampling(ask))
    body["truncate"] = False  # else it forgets the beginning of a conversation that is too long, and does not say so
    body["stream"] = ask.stream
    return dialect.merge(body, ask.options)


def encode_sampling(ask: Ask) -> Iterator[tuple[str, object]]:
    """How the model picks its words."""
    sampling = ask.input.sampling
    if ask.max_output_tokens is not None:
        yield "num_predict", ask.max_output_tokens
    for field in SAMPLING:
        if sampling.HasField(field):
            yield field, getattr(sampling, field)
    if sampling.candidate_count > 1:
        ask.drop("sampling.candidate_count", "the provider gives one answer")
    if sampling.stop_sequences:
        yield "stop", list(sampling.stop_sequences)


def encode_logprobs(ask: Ask) -> Iterator[tuple[str, object]]:
    """Whether to tell how likely the words were."""
    if ask.input.sampling.HasField("top_logprobs"):
        yield "logprobs", True
        yield "top_logprobs", ask.input.sampling.top_logprobs


def encode_thinking(ask: Ask) -> Iterator[tuple[str, object]]:
    """How hard the model thinks: the dialect knows efforts, no budgets."""
    reasoning = ask.input.reasoning
    if reasoning.HasField("include_text") and not reasoning.include_text:
        ask.drop("reasoning.include_text", "the provider always shows what the model thinks")
    if reasoning.effort:
        yield "think", EFFORTS[reasoning.effort]
    if reasoning.HasField("budget_tokens"):
        if reasoning.effort:
            ask.drop("reasoning.budget_tokens", "the provider takes the effort instead")
        else:
            yield "think", _effort(reasoning.budget_tokens, ask)


def _effort(budget_tokens: int, ask: Ask) -> object:
    if budget_tokens:
        ask.adjust("reasoning.budget_tokens", "the provider takes an effort; the nearest one was chosen")
    return next((effort for tokens_max, effort in EFFORT_TOKENS if budget_tokens <= tokens_max), "high")


def encode_output_format(output_format: content_pb2.OutputFormat) -> Iterator[tuple[str, object]]:
    """What shape the answer has."""
    kind = output_format.WhichOneof("kind")
    if kind == "json_object":
        yield "format", "json"
    elif kind == "json_schema":
        yield "format", dialect.raw(output_format.json_schema.json_schema)
