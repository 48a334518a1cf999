"""Usage as the provider reports it."""

from __future__ import annotations

from trunkline.v1 import usage_pb2
from trunkline_server.wire.dialect import count
from trunkline_server.wire.gemini.shapes import UsageMetadata


def read_usage(told: UsageMetadata, search_count: int) -> usage_pb2.Usage:
    """What hosted tools add to the prompt is input, thoughts are output; the provider counts both apart."""
    usage = usage_pb2.Usage()
    usage.input_tokens = count(count(told.prompt_token_count) + count(told.tool_use_prompt_token_count))
    usage.cached_input_tokens = count(told.cached_content_token_count)
    usage.reasoning_output_tokens = count(told.thoughts_token_count)
    usage.output_tokens = count(count(told.candidates_token_count) + count(told.thoughts_token_count))
    usage.source = usage_pb2.USAGE_SOURCE_PROVIDER
    if search_count:
        usage.unit_counts["searches"] = search_count
    return usage
