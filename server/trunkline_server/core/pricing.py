"""What a call costs. Prices are whole nano-USD for 1,000,000 units; a bill rounds once, up, from the exact sum."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time
from functools import cache, cached_property
from types import MappingProxyType
from typing import Annotated, Final, NamedTuple

import msgspec

from trunkline.v1 import usage_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.money import INT64_MAX, NANOS, ceil_div

PER_UNITS: Final = 1_000_000
INPUT: Final = "input"
OUTPUT: Final = "output"
REQUEST: Final = "request"

# A part is counted in its whole, and costs what its whole costs where it has no price of its own. Wholes go first.
PART_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cached_input": INPUT,
        "cache_write": INPUT,
        "cache_write_1h": "cache_write",
        "input_audio": INPUT,
        "cached_audio": "cached_input",
        "input_image": INPUT,
        "cached_image": "cached_input",
        "input_video": INPUT,
        "reasoning": OUTPUT,
        "output_audio": OUTPUT,
        "output_image": OUTPUT,
        "output_video": OUTPUT,
    }
)
# Parts that every call may turn out to have, asked for or not.
USUAL_PARTS: Final = ("cached_input", "cache_write", "reasoning")
FREE: Final[Mapping[str, int]] = MappingProxyType({INPUT: 0, OUTPUT: 0})
BEGINNING: Final = date(1970, 1, 1)
MIDNIGHT: Final = time()

Nanos = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]


class Rates(NamedTuple):
    """The prices of a call that uses tokens and nothing else, which nearly all do."""

    input: int
    cached_input: int
    cache_write: int
    output: int
    reasoning: int
    request: int

    def amount(self, usage: usage_pb2.Usage) -> int:
        """What such a call costs; parts are taken out of their wholes."""
        input_left = max(0, usage.input_tokens)
        cached = min(max(0, usage.cached_input_tokens), input_left)
        written = min(max(0, usage.cache_write_input_tokens), input_left - cached)
        output = max(0, usage.output_tokens)
        reasoning = min(max(0, usage.reasoning_output_tokens), output)
        return (
            (input_left - cached - written) * self.input
            + cached * self.cached_input
            + written * self.cache_write
            + (output - reasoning) * self.output
            + reasoning * self.reasoning
            + self.request
        )

    def most(self, input_tokens: int, output_tokens: int) -> int:
        """What such a call can cost: every token may be of the dearest kind."""
        dearest_input = max(self.input, self.cached_input, self.cache_write)
        return input_tokens * dearest_input + output_tokens * max(self.output, self.reasoning) + self.request


class Tier(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, dict=True):
    """The prices of a call with at least so many input tokens: by unit, nano-USD for 1,000,000 of it."""

    from_input_tokens: Nanos
    units: dict[str, Nanos]

    def rate(self, unit: str) -> int | None:
        """The price of a unit; None where there is none."""
        if unit in self.units:
            return self.units[unit]
        if unit == REQUEST:
            return 0
        return self.rate(PART_OF[unit]) if unit in PART_OF else None

    @cached_property
    def usual(self) -> Rates | None:
        """The rates for plain calls; None where one of them is missing."""
        rates = [self.rate(unit) for unit in (INPUT, "cached_input", "cache_write", OUTPUT, "reasoning", REQUEST)]
        known = [rate for rate in rates if rate is not None]
        return Rates(*known) if len(known) == len(rates) else None


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a model costs from a day on, or from a time of that day (UTC).

    `version` names these numbers and stands on every bill made with them.
    """

    version: str
    effective_from: date
    tiers: tuple[Tier, ...]
    effective_at: time = MIDNIGHT
    source: str = "built-in"

    def __post_init__(self) -> None:
        starts = [tier.from_input_tokens for tier in self.tiers]
        if starts[:1] != [0] or starts != sorted(set(starts)):
            raise ValueError(f"the tiers of {self.version!r} must begin at 0 input tokens and rise, but are {starts}")

    @property
    def effective_time(self) -> datetime:
        """From when it counts."""
        return datetime.combine(self.effective_from, self.effective_at, UTC)

    def tier(self, input_tokens: int) -> Tier:
        """The prices of a call with so many input tokens."""
        return tier_at(self.tiers, max(0, input_tokens)) if len(self.tiers) > 1 else self.tiers[0]


def tier_at(tiers: Sequence[Tier], input_tokens: int) -> Tier:
    """The highest tier that so many input tokens reach."""
    return next(tier for tier in reversed(tiers) if tier.from_input_tokens <= input_tokens)


def in_force(prices: Sequence[Price], day: date) -> Price | None:
    """The last of the prices, ordered by time, that counts when a day (UTC) begins."""
    return in_force_at(prices, datetime.combine(day, MIDNIGHT, UTC))


def in_force_at(prices: Sequence[Price], moment: datetime) -> Price | None:
    """The last of the prices, ordered by time, that counts at a moment."""
    return next((price for price in reversed(prices) if price.effective_time <= moment), None)


class Bill(msgspec.Struct, frozen=True):
    """What the provider takes, what the caller pays, by which price. `unpriced`: what was used and has no price."""

    cost_nano_usd: int
    charge_nanos: int
    price_version: str
    unpriced: tuple[str, ...] = ()


FREE_OF_CHARGE: Final = Bill(0, 0, "")


def bill(price: Price, usage: usage_pb2.Usage, credits_per_usd_nanos: int) -> Bill:
    """The bill for what a call used. Negative counts are 0, and no part is larger than what its whole has left."""
    tier = price.tier(usage.input_tokens)
    if tier.usual is not None and not usage.unit_counts:
        return _rounded(price, tier.usual.amount(usage), credits_per_usd_nanos)
    counts = disjoint(counts_of(usage))
    rates = {unit: tier.rate(unit) for unit, count in counts.items() if count}
    amount = sum(counts[unit] * (rate or 0) for unit, rate in rates.items())
    return _rounded(price, amount, credits_per_usd_nanos, tuple(sorted(u for u, rate in rates.items() if rate is None)))


def most(
    price: Price,
    input_tokens: int,
    output_tokens: int,
    credits_per_usd_nanos: int,
    units: Mapping[str, int] = MappingProxyType({}),
) -> Bill:
    """The highest bill that a call within these counts can get; raises PRICE_UNKNOWN where one of them has no price.

    `units` are the other counts. A part named there (`input_audio`, `cache_write_1h`) may be any share of its whole.
    """
    tier = price.tiers[0]
    if len(price.tiers) == 1 and tier.usual is not None and not units:
        return _rounded(price, tier.usual.most(input_tokens, output_tokens), credits_per_usd_nanos)
    counts = {**units, REQUEST: 1, INPUT: input_tokens, OUTPUT: output_tokens}
    reachable = [tier for tier in price.tiers if tier.from_input_tokens <= max(0, input_tokens)]
    amount = max(_dearest(price, tier, counts) for tier in reachable)
    return _rounded(price, amount, credits_per_usd_nanos)


def most_used(price: Price, usage: usage_pb2.Usage, paying: Collection[str], credits_per_usd_nanos: int) -> Bill:
    """The highest bill for work that uses at most so much, of which a price may count this or that.

    Raises PRICE_UNKNOWN where it counts none of the `paying` units.
    """
    tier = price.tier(usage.input_tokens)
    dearest = {unit: _rates(tier, unit) for unit in counts_of(usage) if unit not in PART_OF}
    if not any(rate is not None for unit, rate in dearest.items() if unit in {_root(each) for each in paying}):
        raise price_unknown(f"{next(iter(sorted(paying)))!r} by price {price.version!r}")
    counts = counts_of(usage)
    amount = sum(max(0, counts[unit]) * (rate or 0) for unit, rate in dearest.items())
    return _rounded(price, amount, credits_per_usd_nanos)


def price_unknown(subject: str) -> TrunklineError:
    """Refuses what cannot be priced: an unknown price is never a free call."""
    return TrunklineError(Reason.PRICE_UNKNOWN, f"{subject} has no price; configure one, or mark the model as free")


def counts_of(usage: usage_pb2.Usage) -> dict[str, int]:
    """A usage by unit, parts still inside their wholes."""
    return {
        **usage.unit_counts,
        REQUEST: 1,
        INPUT: usage.input_tokens,
        "cached_input": usage.cached_input_tokens,
        "cache_write": usage.cache_write_input_tokens,
        OUTPUT: usage.output_tokens,
        "reasoning": usage.reasoning_output_tokens,
    }


def disjoint(counts: Mapping[str, int]) -> dict[str, int]:
    """The same counts with every part taken out of its whole, so that each token is counted once."""
    left = {unit: max(0, count) for unit, count in counts.items()}
    for part, whole in PART_OF.items():
        if part in left:
            left[part] = min(left[part], left.get(whole, 0))
            left[whole] = left.get(whole, 0) - left[part]
    return left


def _dearest(price: Price, tier: Tier, counts: Mapping[str, int]) -> int:
    amount = 0
    named = PART_OF.keys() & counts.keys()
    for unit, count in counts.items():
        if unit not in PART_OF and count > 0:
            rates = [tier.rate(each) for each in (unit, *_parts(unit, frozenset(named)))]
            known = [rate for rate in rates if rate is not None]
            if not known:
                raise price_unknown(f"{unit!r} by price {price.version!r}")
            amount += count * max(known)
    return amount


@cache
def _parts(whole: str, named: frozenset[str]) -> tuple[str, ...]:
    return tuple(part for part in PART_OF if (part in USUAL_PARTS or part in named) and _root(part) == whole)


def _rates(tier: Tier, unit: str) -> int | None:
    """The dearest of a unit and its parts; None where none has a price."""
    known = [rate for each in tier.units if _root(each) == unit and (rate := tier.rate(each)) is not None]
    return max(known) if known else tier.rate(unit)


def _root(unit: str) -> str:
    return _root(PART_OF[unit]) if unit in PART_OF else unit


def _rounded(price: Price, amount: int, credits_per_usd_nanos: int, unpriced: tuple[str, ...] = ()) -> Bill:
    cost = ceil_div(amount, PER_UNITS)
    charge = ceil_div(amount * credits_per_usd_nanos, PER_UNITS * NANOS)
    return Bill(min(cost, INT64_MAX), min(charge, INT64_MAX), price.version, unpriced)
