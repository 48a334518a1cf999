"""What training costs, and what calls to a trained model do: by the model that it begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from trunkline_server.core.catalogue import Catalogue
from trunkline_server.core.model import ModelEntry
from trunkline_server.core.pricing import INPUT, OUTPUT, Price, price_unknown
from trunkline_server.core.tuning.size import TRAINING, as_own
from trunkline_server.gateway.tuned import TunedModel


@dataclass(frozen=True)
class Tariffs:
    """`known` has an entry for each model that can be trained; the operator's own win there."""

    known: Catalogue
    credits_per_usd_nanos: int
    unknown_price_is_free: bool = False

    def tokens_max(self, provider: str, base_model: str) -> int:
        """Of one example; 0: not known."""
        entry = self.known.find(provider, base_model)
        return entry.context_window if entry else 0

    def training(self, provider: str, base_model: str, *, charged: bool) -> Price | None:
        """None where it costs nothing here. Raises PRICE_UNKNOWN for a charged caller."""
        entry = self.known.find(provider, base_model)
        price = _having(entry, TRAINING)
        if price is None and charged and not self.unknown_price_is_free:
            raise price_unknown(f"training {provider}/{base_model}")
        return price

    def trained(self, catalogue: Catalogue, provider: str, model: str, tuned: TunedModel) -> ModelEntry:
        """A trained model as the catalogue would have it. What the operator says of this very model comes first."""
        base, own = catalogue.find(provider, tuned.base_model), catalogue.find(provider, model)
        is_said = own is not None and own.model == model and bool(own.prices)
        given = own if is_said else self.known.find(provider, tuned.base_model)
        return ModelEntry(
            provider=provider,
            model=model,
            display_name=tuned.name,
            context_window=base.context_window if base else 0,
            max_output_tokens=base.max_output_tokens if base else 0,
            prices=tuple(as_own(price) for price in _spoken(given)),
        )


def _spoken(entry: ModelEntry | None) -> Sequence[Price]:
    """The prices that calls can be charged by, without that of training."""
    bare = (_bare(price) for price in (entry.prices if entry else ()))
    return [price for price in bare if all({INPUT, OUTPUT} <= tier.units.keys() for tier in price.tiers)]


def _bare(price: Price) -> Price:
    tiers = tuple(
        msgspec.structs.replace(tier, units={unit: each for unit, each in tier.units.items() if unit != TRAINING})
        for tier in price.tiers
    )
    return msgspec.structs.replace(price, tiers=tiers)


def _having(entry: ModelEntry | None, unit: str) -> Price | None:
    price = entry.price_at(datetime.now(UTC)) if entry else None
    return as_own(price) if price is not None and unit in price.tiers[0].units else None
