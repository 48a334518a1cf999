"""Usage as the provider reports it, and what its own tools did."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.v1 import usage_pb2
from trunkline_server.wire import dialect
from trunkline_server.wire.openai_responses.shapes import (
    InputDetails,
    OutputDetails,
    Response,
    ServerTools,
    ToolUsage,
    Usage,
)


def usage_of(told: Usage, units: Mapping[str, int]) -> usage_pb2.Usage:
    """The counts by class; `units` are the others."""
    given = told.input_tokens_details or InputDetails()
    return usage_pb2.Usage(
        input_tokens=dialect.count(told.input_tokens),
        cached_input_tokens=dialect.count(given.cached_tokens),
        cache_write_input_tokens=dialect.count(given.cache_write_tokens),
        output_tokens=dialect.count(told.output_tokens),
        reasoning_output_tokens=dialect.count((told.output_tokens_details or OutputDetails()).reasoning_tokens),
        unit_counts={unit: number for unit, number in units.items() if number},
        source=usage_pb2.USAGE_SOURCE_PROVIDER,
    )


def units_of(response: Response, seen: Mapping[str, int]) -> dict[str, int]:
    """What is not counted in tokens: as the server counts it, else as it was `seen` in the output."""
    units = dict(seen)
    searched = (response.tool_usage or ToolUsage()).web_search
    if searched is not None and searched.num_requests is not None:
        units["searches"] = dialect.count(searched.num_requests)
    usage = response.usage or Usage()
    if usage.server_side_tool_usage_details is not None:
        units.update(_ran(usage.server_side_tool_usage_details))
    return {**units, "sources": dialect.count(usage.num_sources_used)}


def _ran(tools: ServerTools) -> dict[str, int]:
    return {
        "searches": dialect.count(tools.web_search_calls) + dialect.count(tools.x_search_calls),
        "storage_searches": dialect.count(tools.file_search_calls) + dialect.count(tools.document_search_calls),
    }
