"""Usage as the Messages API reports it: in a stream twice, and with an input count that leaves out the cache."""

from __future__ import annotations

from typing import Final

from trunkline.v1 import usage_pb2
from trunkline_server.wire.anthropic.shapes import CacheCreation, OutputDetails, ServerToolUse, Usage
from trunkline_server.wire.dialect import count

_NO_DETAILS: Final = OutputDetails()
_NO_CREATION: Final = CacheCreation()
_NO_TOOLS: Final = ServerToolUse()


def merge(known: Usage, later: Usage) -> Usage:
    """The later value of each field counts; a field that is not told again keeps its value."""
    for field in Usage.__struct_fields__:
        value = getattr(later, field)
        if value is not None:
            setattr(known, field, value)
    return known


def usage_of(told: Usage) -> usage_pb2.Usage:
    """The counts by class; what was read from the cache and written to it joins the input."""
    cached, written = count(told.cache_read_input_tokens), count(told.cache_creation_input_tokens)
    usage = usage_pb2.Usage(
        input_tokens=count(count(told.input_tokens) + cached + written),
        cached_input_tokens=cached,
        cache_write_input_tokens=written,
        output_tokens=count(told.output_tokens),
        reasoning_output_tokens=count((told.output_tokens_details or _NO_DETAILS).thinking_tokens),
        source=usage_pb2.USAGE_SOURCE_PROVIDER,
    )
    for unit, number in _units(told).items():
        if number:
            usage.unit_counts[unit] = number
    return usage


def _units(told: Usage) -> dict[str, int]:
    """`cache_write_1h` is the part of the cache writes that stays for an hour: it has a price of its own."""
    return {
        "searches": count((told.server_tool_use or _NO_TOOLS).web_search_requests),
        "cache_write_1h": count((told.cache_creation or _NO_CREATION).ephemeral_1h_input_tokens),
    }
