"""What was used, added up."""

from __future__ import annotations

from trunkline.v1 import usage_pb2


def added(one: usage_pb2.Usage, other: usage_pb2.Usage) -> usage_pb2.Usage:
    """Two calls, or two rounds of one, together."""
    total = usage_pb2.Usage(
        input_tokens=one.input_tokens + other.input_tokens,
        cached_input_tokens=one.cached_input_tokens + other.cached_input_tokens,
        cache_write_input_tokens=one.cache_write_input_tokens + other.cache_write_input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        reasoning_output_tokens=one.reasoning_output_tokens + other.reasoning_output_tokens,
        source=max(one.source, other.source),
    )
    for counts in (one.unit_counts, other.unit_counts):
        for unit, count in counts.items():
            total.unit_counts[unit] += count
    return total
