"""The most that a caller wants to pay for one call: how long its answer may become, and when it has to be cut."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from trunkline.v1 import usage_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.pricing import Price, bill

CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class CostLimit:
    """In nano-credits, and what running costs are reckoned with."""

    max_nanos: int
    price: Price
    credits_per_usd_nanos: int
    input_tokens: int

    def reached(self, answer: Answer) -> bool:
        """Whether one token beyond the one under way would cost too much."""
        told = answer.usage
        output = max(answer.delta_count, answer.output_chars // CHARS_PER_TOKEN, told.output_tokens if told else 0)
        usage = usage_pb2.Usage(
            input_tokens=(told.input_tokens if told else 0) or self.input_tokens,
            cached_input_tokens=told.cached_input_tokens if told else 0,
            cache_write_input_tokens=told.cache_write_input_tokens if told else 0,
            output_tokens=output + 2,
        )
        return bill(self.price, usage, self.credits_per_usd_nanos).charge_nanos > self.max_nanos


def affordable(max_nanos: int, length: int, most_nanos_of: Callable[[int], int]) -> int:
    """The longest answer, in tokens up to `length`, that costs no more at most; 0 where not even one token does."""
    return bisect_right(range(1, length + 1), max_nanos, key=most_nanos_of)
