"""Prices of work that a provider does for less: all of it at a share of the price, which the price's version tells."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from trunkline_server.core.money import ceil_div
from trunkline_server.core.pricing import Price, Tier

_REDUCED: Final = re.compile(r"@(\d{1,3})%$", re.ASCII)


def reduced(price: Price, percent: int) -> Price:
    """Every rate at so many percent, rounded up."""
    tiers = (
        Tier(tier.from_input_tokens, {unit: ceil_div(rate * percent, 100) for unit, rate in tier.units.items()})
        for tier in price.tiers
    )
    return msgspec.structs.replace(price, version=f"{price.version}@{percent}%", tiers=tuple(tiers))


def as_reduced(price: Price, version: str) -> Price:
    """A price with the reduction that another version tells of."""
    found = _REDUCED.search(version)
    return reduced(price, int(found[1])) if found else price
