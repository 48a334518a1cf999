"""Spells a question as the body of a response, so that nothing depends on what the provider remembers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire import dialect
from trunkline_server.wire.openai_chat.encode import EFFORT_TOKENS, EFFORTS, SAMPLING
from trunkline_server.wire.openai_responses.messages import encode_messages
from trunkline_server.wire.openai_responses.quirks import Quirks
from trunkline_server.wire.openai_responses.tools import encode_tool_choice, encode_tools

THOUGHTS: Final = "reasoning.encrypted_content"
LOGPROBS: Final = "message.output_text.logprobs"
SAID_ELSEWHERE: Final = frozenset(("include", "background"))


def encode_chat(ask: Ask, quirks: Quirks) -> dict[str, object]:
    """The whole body; the caller's own further fields come last."""
    body: dict[str, object] = {"model": ask.model, **dict(encode_messages(ask, quirks)), "store": False}
    body.update(encode_sampling(ask, quirks))
    body.update(encode_reasoning(ask, quirks))
    body.update(_encode_tools(ask))
    body.update(encode_output_format(ask.input.output_format))
    if quirks.end_user_field and ask.end_user:
        body[quirks.end_user_field] = ask.end_user
    if ask.stream:
        body["stream"] = True
    included = encode_include(ask, quirks)
    if included:
        body["include"] = included
    if "background" in ask.options:  # nobody would ask after it: see `background.py`
        ask.drop("provider_options_json", "the answer is not made in the background")
    return dialect.merge(body, {name: value for name, value in ask.options.items() if name not in SAID_ELSEWHERE})


def encode_count(ask: Ask, quirks: Quirks) -> dict[str, object]:
    """The question how many tokens the input has."""
    body: dict[str, object] = {"model": ask.model, **dict(encode_messages(ask, quirks))}
    body.update(encode_reasoning(ask, quirks))
    body.update(_encode_tools(ask))
    body.update(encode_output_format(ask.input.output_format))
    return body


def encode_include(ask: Ask, quirks: Quirks) -> list[object]:
    """What the answer holds only if it is asked for: thoughts that can be sent back, and the caller's own wishes."""
    told = ask.options.get("include")
    included: list[object] = list(told) if isinstance(told, list) else []
    if quirks.thinks(ask.model):
        included.append(THOUGHTS)
    if ask.input.sampling.top_logprobs and "top_logprobs" in quirks.sampling_fields:
        included.append(LOGPROBS)
    return [each for index, each in enumerate(included) if each not in included[:index]]


def encode_sampling(ask: Ask, quirks: Quirks) -> Iterator[tuple[str, object]]:
    """How the model picks its words."""
    sampling = ask.input.sampling
    if ask.max_output_tokens is not None:
        yield "max_output_tokens", ask.max_output_tokens
    for field in SAMPLING:
        if not sampling.HasField(field):
            continue
        if field in quirks.sampling_fields:
            yield quirks.sampling_fields[field], getattr(sampling, field)
        elif field != "candidate_count" or sampling.candidate_count > 1:
            ask.drop(f"sampling.{field}", "the provider has no such setting")
    if sampling.stop_sequences:
        ask.drop("sampling.stop_sequences", "the provider has no such setting")


def encode_reasoning(ask: Ask, quirks: Quirks) -> Iterator[tuple[str, object]]:
    """How hard the model thinks, and whether it shows a summary of that: the dialect knows efforts, no budgets."""
    reasoning: dict[str, object] = {}
    effort = _effort(ask)
    if effort:
        reasoning["effort"] = effort
    if ask.input.reasoning.include_text:
        if quirks.thinks(ask.model):
            reasoning["summary"] = "auto"
        else:
            ask.drop("reasoning.include_text", "the model does not think")
    if reasoning:
        yield "reasoning", reasoning


def _effort(ask: Ask) -> str:
    wanted = ask.input.reasoning
    if not wanted.HasField("budget_tokens"):
        return EFFORTS.get(wanted.effort, "")
    if wanted.effort:
        ask.drop("reasoning.budget_tokens", "the provider takes the effort instead")
        return EFFORTS[wanted.effort]
    ask.adjust("reasoning.budget_tokens", "the provider takes an effort; the nearest one was chosen")
    return next((effort for tokens_max, effort in EFFORT_TOKENS if wanted.budget_tokens <= tokens_max), "high")


def _encode_tools(ask: Ask) -> Iterator[tuple[str, object]]:
    tools = encode_tools(ask)
    if not tools:
        return
    yield "tools", tools
    if ask.input.HasField("tool_choice"):
        yield "tool_choice", encode_tool_choice(ask.input.tool_choice)
    if ask.input.HasField("parallel_tool_calls"):
        yield "parallel_tool_calls", ask.input.parallel_tool_calls


def encode_output_format(output_format: content_pb2.OutputFormat) -> Iterator[tuple[str, object]]:
    """What shape the answer has."""
    kind = output_format.WhichOneof("kind")
    if kind == "json_object":
        yield "text", {"format": {"type": "json_object"}}
    elif kind == "json_schema":
        yield "text", {"format": {"type": "json_schema", **_schema(output_format.json_schema)}}


def _schema(wanted: content_pb2.JsonSchemaFormat) -> dict[str, object]:
    schema: dict[str, object] = {"name": wanted.name or "answer", "schema": dialect.raw(wanted.json_schema)}
    if wanted.description:
        schema["description"] = wanted.description
    if wanted.HasField("strict"):
        schema["strict"] = wanted.strict
    return schema
