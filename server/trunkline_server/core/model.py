"""A model at a provider: which names mean it, how much it takes, what it costs from which day on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated

import msgspec

from trunkline_server.core.clause import EVERY_NAME, Clause, Equals
from trunkline_server.core.pricing import BEGINNING, FREE, Price, Tier, in_force, in_force_at

Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Name = Annotated[str, msgspec.Meta(min_length=1)]


class ModelEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A model at a provider. 0 means not known; no prices means that calls cannot be priced, not that they are free."""

    provider: Name
    model: Name
    display_name: str = ""
    match: Clause | None = None  # which names mean it; None: only its own
    context_window: Count = 0
    max_output_tokens: Count = 0
    prices: tuple[Price, ...] = ()  # by day, the latest last

    def __post_init__(self) -> None:
        times = [price.effective_time for price in self.prices]
        if times != sorted(times):
            raise ValueError(f"the prices of {self.name!r} are not ordered by day")

    @property
    def name(self) -> str:
        """Its full name, `provider/model`."""
        return f"{self.provider}/{self.model}"

    @property
    def clause(self) -> Clause:
        """Which names mean it."""
        return Equals(self.model) if self.match is None else self.match

    @property
    def is_any(self) -> bool:
        """Whether it stands for every model of its provider, known or not."""
        return self.match == EVERY_NAME

    def price_on(self, day: date) -> Price | None:
        """The price that counts when a day (UTC) begins."""
        return in_force(self.prices, day)

    def price_at(self, moment: datetime) -> Price | None:
        """The price that counts at a moment."""
        return in_force_at(self.prices, moment)

    def price_version(self, version: str) -> Price | None:
        """The price that a bill or a hold was made with."""
        return next((price for price in self.prices if price.version == version), None)


def configured_model(
    provider: str,
    model: str | None,
    *,
    context_window: int = 0,
    max_output_tokens: int = 0,
    units: Mapping[str, int] | None = None,
    free: bool = False,
) -> ModelEntry:
    """A model from the operator's settings; None: every model of the provider. `units`: nano-USD per 1,000,000."""
    if free and units is not None:
        raise ValueError(f"{provider}/{model}: a model is free or has a price, not both")
    prices = (configured_price(FREE if units is None else units),) if free or units is not None else ()
    match = EVERY_NAME if model is None else None
    return ModelEntry(provider, model or "*", model or "", match, context_window, max_output_tokens, prices)


def configured_price(units: Mapping[str, int]) -> Price:
    """A price without tiers that counts from the beginning; its version tells its numbers apart from others."""
    tiers = (Tier(0, dict(units)),)
    return Price(f"configured/{digest(tiers)}", BEGINNING, tiers, source="settings")


def digest(tiers: Sequence[Tier]) -> str:
    """Six hex digits that tell the numbers of one price from those of another."""
    return hashlib.sha256(msgspec.json.encode(tiers, order="deterministic")).hexdigest()[:6]
