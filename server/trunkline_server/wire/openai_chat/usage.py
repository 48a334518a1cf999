"""Usage as the provider reports it: totals include their parts, whatever the server thinks of that."""

from __future__ import annotations

from trunkline.v1 import usage_pb2
from trunkline_server.wire import dialect
from trunkline_server.wire.openai_chat.quirks import Quirks
from trunkline_server.wire.openai_chat.shapes import CompletionDetails, PromptDetails, Usage


def usage_of(told: Usage, quirks: Quirks) -> usage_pb2.Usage:
    """The counts by class; reasoning that is counted apart joins the output."""
    prompt = told.prompt_tokens_details or PromptDetails()
    completion = told.completion_tokens_details or CompletionDetails()
    reasoning_tokens = dialect.count(completion.reasoning_tokens)
    output_tokens = dialect.count(told.completion_tokens)
    usage = usage_pb2.Usage(
        input_tokens=dialect.count(told.prompt_tokens),
        cached_input_tokens=dialect.count(prompt.cached_tokens),
        cache_write_input_tokens=dialect.count(prompt.cache_write_tokens),
        output_tokens=dialect.count(output_tokens + reasoning_tokens * quirks.counts_thoughts_apart),
        reasoning_output_tokens=reasoning_tokens,
        source=usage_pb2.USAGE_SOURCE_PROVIDER,
    )
    units = {
        "sources": told.num_sources_used,
        "input_audio": prompt.audio_tokens,
        "output_audio": completion.audio_tokens,
    }
    for unit, tokens in units.items():
        if tokens:
            usage.unit_counts[unit] = dialect.count(tokens)
    return usage
