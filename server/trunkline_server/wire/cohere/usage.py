"""Usage as the provider bills it: without the instructions of its own that it lays around the conversation.

What it calls cached is counted with those instructions and costs the same, so it is no part of the billed input.
"""

from __future__ import annotations

from trunkline.v1 import usage_pb2
from trunkline_server.wire.cohere.shapes import BilledUnits, Tokens, Usage
from trunkline_server.wire.dialect import count


def usage_of(told: Usage) -> usage_pb2.Usage | None:
    """The counts by class; None where the provider tells none."""
    if told.billed_units is None and told.tokens is None:
        return None
    billed, tokens = told.billed_units or BilledUnits(), told.tokens or Tokens()
    output_tokens = _first(billed.output_tokens, tokens.output_tokens)
    usage = usage_pb2.Usage(
        input_tokens=_first(billed.input_tokens, tokens.input_tokens),
        output_tokens=output_tokens,
        reasoning_output_tokens=min(count(tokens.reasoning_tokens), output_tokens),
        source=usage_pb2.USAGE_SOURCE_PROVIDER,
    )
    for unit, number in (("searches", billed.search_units), ("images", billed.images)):
        if number:
            usage.unit_counts[unit] = count(number)
    return usage


def _first(billed: float | None, told: float | None) -> int:
    return count(told if billed is None else billed)
