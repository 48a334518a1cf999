"""What is learned about models while the gateway runs: what providers offer and ask, prices that were set, aliases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from trunkline_server.core.model import ModelEntry
from trunkline_server.core.pricing import Price


@dataclass(frozen=True, slots=True)
class Learned:
    """Prices are by full name: `prices` in the order in which they were set, those that were `told` by their providers
    by time. An alias means its models in their order.
    """

    offers: Sequence[ModelEntry] = ()
    prices: Mapping[str, Sequence[Price]] = field(default_factory=dict)
    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    told: Mapping[str, Sequence[Price]] = field(default_factory=dict)

    def priced(self, entry: ModelEntry) -> ModelEntry:
        """The entry with the prices that were set for it; what its provider tells counts only where it has none."""
        base = entry.prices or tuple(self.told.get(entry.name, ()))
        later = self.prices.get(entry.name)
        prices = followed(base, later) if later else base
        return entry if prices == entry.prices else msgspec.structs.replace(entry, prices=prices)


NOTHING: Final = Learned()


def followed(prices: Sequence[Price], told: Sequence[Price]) -> tuple[Price, ...]:
    """From the first price that was told on, only such count; of two for the same moment the later word."""
    rows = sorted(told, key=lambda price: price.effective_time)
    return (*(price for price in prices if price.effective_time < rows[0].effective_time), *rows)
