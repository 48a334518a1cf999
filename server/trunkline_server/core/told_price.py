"""A price as a provider's own list tells it: read exactly, and refused where nobody could mean it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from trunkline_server.core.money import NANOS, ceil_div
from trunkline_server.core.price_request import inherited
from trunkline_server.core.pricing import FREE, INPUT, REQUEST, Tier

Figures: TypeAlias = Mapping[str, str]
"""By unit, the number as the list spells it: a number of JSON, or one in quotes."""

FREE_SUFFIX: Final = ":free"
"""What names end with whose zeros are meant."""

TOKENS_USD_MAX: Final = 10_000
TOKENS_NANOS_MIN: Final = 200_000
"""For a million tokens: nobody asks more or less, so what is beyond is told in another unit than was thought."""

EACH_USD_MAX: Final[Mapping[str, int]] = MappingProxyType({REQUEST: 10_000_000, "searches": 10_000_000})
"""For a million of what is not counted in tokens."""

_FIGURE: Final = re.compile(r'("?)(-?)([0-9]{1,18})(?:\.([0-9]{1,40}))?(?:[eE]([+-]?[0-9]{1,2}))?\1')


class ImplausibleError(ValueError):
    """A price that no call can be billed by; says why."""


def tiers_of(model: str, told: Mapping[int, Figures], scale: int) -> tuple[Tier, ...]:
    """The price of a model, from figures by the input tokens where they begin to count; none where none are told.

    `scale`: the power of ten that makes a figure nano-USD for 1,000,000. A zero is no price but a silence, unless the
    model's name says that it is free. Raises ImplausibleError.
    """
    known = {
        start: {unit: nanos for unit, figure in figures.items() if (nanos := _nanos(unit, figure, scale))}
        for start, figures in told.items()
    }
    if not told.get(0):
        return ()
    if model.endswith(FREE_SUFFIX) and not any(known.values()):
        return (Tier(0, dict(FREE)),)
    if INPUT not in known[0]:
        raise ImplausibleError("the input costs nothing")
    return tuple(inherited({start: units for start, units in known.items() if units}))


def _nanos(unit: str, figure: str, scale: int) -> int:
    """Exact; what is less than a billionth of a dollar for a million is rounded up."""
    number = _FIGURE.fullmatch(figure)
    if number is None:
        raise ImplausibleError(f"{unit} is not a number")
    _, sign, whole, fraction, exponent = number.groups(default="")
    digits, power = int(whole + fraction), scale + int(exponent or 0) - len(fraction)
    if sign and digits:
        raise ImplausibleError(f"{unit} is negative")
    nanos = digits * 10**power if power >= 0 else ceil_div(digits, 10**-power)
    if nanos > EACH_USD_MAX.get(unit, TOKENS_USD_MAX) * NANOS:
        raise ImplausibleError(f"{unit} is too dear to be true")
    if 0 < nanos < TOKENS_NANOS_MIN and unit not in EACH_USD_MAX:
        raise ImplausibleError(f"{unit} is too cheap to be true")
    return nanos
