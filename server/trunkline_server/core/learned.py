"""What is learned about models while the gateway runs: what providers offer, prices that were set, aliases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from trunkline_server.core.model import ModelEntry
from trunkline_server.core.pricing import Price


@dataclass(frozen=True, slots=True)
class Learned:
    """`prices` are by full name, in the order in which they were set; an alias means its models in their order."""

    offers: Sequence[ModelEntry] = ()
    prices: Mapping[str, Sequence[Price]] = field(default_factory=dict)
    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def priced(self, entry: ModelEntry) -> ModelEntry:
        """The entry with the prices that were set for it."""
        told = self.prices.get(entry.name)
        return msgspec.structs.replace(entry, prices=followed(entry.prices, told)) if told else entry


NOTHING: Final = Learned()


def followed(prices: Sequence[Price], told: Sequence[Price]) -> tuple[Price, ...]:
    """From the first price that was told on, only such count; of two for the same moment the later word."""
    rows = sorted(told, key=lambda price: price.effective_time)
    return (*(price for price in prices if price.effective_time < rows[0].effective_time), *rows)
