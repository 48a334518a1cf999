"""A bill is exact, rounds once and up, and is never above what was reserved for it."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.v1 import usage_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.money import INT64_MAX, NANOS
from trunkline_server.core.pricing import (
    BEGINNING,
    FREE,
    PART_OF,
    PER_UNITS,
    USUAL_PARTS,
    Price,
    Tier,
    bill,
    disjoint,
    in_force,
    most,
    most_used,
    price_unknown,
)

USD = NANOS
INT64_MIN = -(2**63)


def price(*tiers: Tier, day: date = BEGINNING) -> Price:
    return Price(f"{day}/test", day, tiers)


def flat(**units: int) -> Price:
    return price(Tier(0, units))


CLAUDE = price(
    Tier(0, {"input": 3 * USD, "cached_input": USD * 3 // 10, "cache_write": USD * 15 // 4, "output": 15 * USD}),
    Tier(200_001, {"input": 6 * USD, "cached_input": USD * 6 // 10, "cache_write": USD * 15 // 2, "output": 22 * USD}),
)


# By hand.


def test_a_bill_by_hand() -> None:
    usage = usage_pb2.Usage(
        input_tokens=1_000, cached_input_tokens=400, cache_write_input_tokens=100, output_tokens=200
    )
    made = bill(CLAUDE, usage, NANOS)
    assert made.cost_nano_usd == 500 * 3_000 + 400 * 300 + 100 * 3_750 + 200 * 15_000
    assert made.charge_nanos == made.cost_nano_usd
    assert (made.price_version, made.unpriced) == ("1970-01-01/test", ())


@pytest.mark.parametrize(("input_tokens", "usd_per_million"), [(200_000, 3), (200_001, 6), (999_999, 6)])
def test_a_tier_counts_for_the_whole_call(input_tokens: int, usd_per_million: int) -> None:
    usage = usage_pb2.Usage(input_tokens=input_tokens)
    assert bill(CLAUDE, usage, NANOS).cost_nano_usd == input_tokens * usd_per_million * 1_000


def test_cached_input_reaches_tiers_like_other_input() -> None:
    usage = usage_pb2.Usage(input_tokens=200_001, cached_input_tokens=200_001)
    assert bill(CLAUDE, usage, NANOS).cost_nano_usd == 200_001 * 600


def test_parts_without_a_price_cost_what_their_whole_costs() -> None:
    usage = usage_pb2.Usage(
        input_tokens=90,
        cached_input_tokens=30,
        cache_write_input_tokens=30,
        output_tokens=10,
        reasoning_output_tokens=5,
        unit_counts={"input_audio": 10, "cache_write_1h": 20},
    )
    made = bill(flat(input=USD, output=2 * USD), usage, NANOS)
    assert (made.cost_nano_usd, made.unpriced) == (90 * 1_000 + 10 * 2_000, ())


def test_reasoning_has_its_own_price_where_there_is_one() -> None:
    usage = usage_pb2.Usage(output_tokens=10, reasoning_output_tokens=4)
    assert bill(flat(output=2 * USD, reasoning=3 * USD), usage, NANOS).cost_nano_usd == 6 * 2_000 + 4 * 3_000


def test_a_cache_write_of_an_hour_is_part_of_the_cache_writes() -> None:
    usage = usage_pb2.Usage(input_tokens=10, cache_write_input_tokens=6, unit_counts={"cache_write_1h": 4})
    made = bill(flat(input=1_000_000, cache_write=2_000_000, cache_write_1h=5_000_000), usage, NANOS)
    assert made.cost_nano_usd == 4 * 1 + 2 * 2 + 4 * 5


def test_what_is_not_counted_in_tokens() -> None:
    usage = usage_pb2.Usage(unit_counts={"searches": 3, "images": 2})
    made = bill(flat(input=0, output=0, searches=10_000 * USD, request=5_000_000), usage, NANOS)
    assert made.cost_nano_usd == 3 * 10_000_000 + 5
    assert made.unpriced == ("images",)


def test_tokens_without_any_price_are_told() -> None:
    usage = usage_pb2.Usage(input_tokens=1, output_tokens=1)
    assert bill(flat(audio_ms=5), usage, NANOS).unpriced == ("input", "output")


@pytest.mark.parametrize(
    ("credits_per_usd_nanos", "charge_nanos"), [(NANOS, 1), (1, 1), (0, 0), (3 * NANOS, 1), (3_000_001 * NANOS, 4)]
)
def test_each_amount_rounds_once_and_up(credits_per_usd_nanos: int, charge_nanos: int) -> None:
    made = bill(flat(input=1), usage_pb2.Usage(input_tokens=1), credits_per_usd_nanos)
    assert (made.cost_nano_usd, made.charge_nanos) == (1, charge_nanos)


def test_negative_counts_are_nothing() -> None:
    usage = usage_pb2.Usage(
        input_tokens=-5, cached_input_tokens=INT64_MIN, output_tokens=-1, unit_counts={"searches": -9}
    )
    assert bill(flat(input=USD, output=USD, searches=USD), usage, NANOS).cost_nano_usd == 0


def test_absurd_counts_stay_amounts() -> None:
    usage = usage_pb2.Usage(input_tokens=INT64_MAX, output_tokens=INT64_MAX)
    made = bill(CLAUDE, usage, NANOS)
    assert (made.cost_nano_usd, made.charge_nanos) == (INT64_MAX, INT64_MAX)


def test_a_whole_that_was_not_reported_has_no_parts() -> None:
    assert disjoint({"cached_input": 5, "reasoning": 3}) == {"cached_input": 0, "input": 0, "reasoning": 0, "output": 0}


@pytest.mark.parametrize(
    "tiers", [(), (Tier(1, {}),), (Tier(0, {}), Tier(0, {})), (Tier(0, {}), Tier(9, {}), Tier(5, {}))]
)
def test_tiers_begin_at_nothing_and_rise(tiers: tuple[Tier, ...]) -> None:
    with pytest.raises(ValueError, match="must begin at 0"):
        price(*tiers)


def test_the_price_of_a_day() -> None:
    first, second, corrected = (price(Tier(0, {}), day=day) for day in (date(2026, 1, 1), *[date(2026, 3, 1)] * 2))
    prices = (first, second, corrected)
    assert in_force(prices, date(2025, 12, 31)) is None
    assert in_force(prices, date(2026, 2, 28)) is first
    assert in_force(prices, date(2026, 3, 1)) is corrected


# Reservations.


def test_the_most_counts_the_dearest_kind_of_input() -> None:
    assert most(CLAUDE, 1_000, 200, NANOS).cost_nano_usd == 1_000 * 3_750 + 200 * 15_000


def test_the_most_counts_the_dearest_tier_that_can_be_reached() -> None:
    falling = price(Tier(0, {"input": 9 * USD, "output": 0}), Tier(100, {"input": USD, "output": 0}))
    assert most(falling, 99, 0, NANOS).cost_nano_usd == 99 * 9_000
    assert most(falling, 150, 0, NANOS).cost_nano_usd == 150 * 9_000
    assert most(CLAUDE, 200_001, 1, NANOS).cost_nano_usd == 200_001 * 7_500 + 22_000


def test_rare_parts_count_where_they_are_named() -> None:
    audio = flat(input=USD, input_audio=4 * USD, output=USD)
    assert most(audio, 10, 0, NANOS).cost_nano_usd == 10 * 1_000
    assert most(audio, 10, 0, NANOS, {"input_audio": 10}).cost_nano_usd == 10 * 4_000


def test_a_part_of_a_part_counts_where_it_is_named() -> None:
    cached_for_an_hour = flat(input=USD, cache_write=2 * USD, cache_write_1h=3 * USD, output=USD)
    assert most(cached_for_an_hour, 10, 0, NANOS).cost_nano_usd == 10 * 2_000
    assert most(cached_for_an_hour, 10, 0, NANOS, {"cache_write_1h": 10}).cost_nano_usd == 10 * 3_000


def test_the_most_of_what_has_no_price_is_refused() -> None:
    for input_tokens, output_tokens, units in ((1, 0, {}), (0, 1, {}), (0, 0, {"images": 1})):
        with pytest.raises(TrunklineError) as refused:
            most(flat(audio_ms=USD), input_tokens, output_tokens, NANOS, units)
        assert refused.value.reason is Reason.PRICE_UNKNOWN
    assert most(flat(input=USD), 1_000, 0, NANOS).cost_nano_usd == 1_000_000  # embeddings have no output


def test_the_refusal_names_what_has_no_price() -> None:
    assert "'acme/model' has no price" in str(price_unknown("'acme/model'"))


# For all prices and usages.

rates = st.integers(0, 10**15)
counts = st.integers(0, 10**9)
extra_units = ("searches", "images", "request")


@st.composite
def prices(draw: st.DrawFn, rate: st.SearchStrategy[int] = rates) -> Price:
    starts = [0, *sorted(draw(st.sets(st.integers(1, 10**9), max_size=3)))]
    parts = sorted(draw(st.sets(st.sampled_from([*PART_OF, *extra_units]))))
    units = ["input", "output", "searches", *parts]
    return price(*(Tier(start, {unit: draw(rate) for unit in units}) for start in starts))


@st.composite
def usages(draw: st.DrawFn) -> usage_pb2.Usage:
    return usage_pb2.Usage(
        input_tokens=draw(counts),
        cached_input_tokens=draw(counts),
        cache_write_input_tokens=draw(counts),
        output_tokens=draw(counts),
        reasoning_output_tokens=draw(counts),
        unit_counts=draw(
            st.dictionaries(st.sampled_from([*(set(PART_OF) - set(USUAL_PARTS)), "searches"]), counts, max_size=4)
        ),
    )


@given(prices(), usages(), st.integers(0, 10**12), counts, counts)
def test_no_bill_is_above_what_was_reserved(
    listed: Price, usage: usage_pb2.Usage, credits_per_usd_nanos: int, more_input: int, more_output: int
) -> None:
    made = bill(listed, usage, credits_per_usd_nanos)
    limits = (usage.input_tokens + more_input, usage.output_tokens + more_output)
    reserved = most(listed, *limits, credits_per_usd_nanos, dict(usage.unit_counts))
    assert made.cost_nano_usd <= reserved.cost_nano_usd
    assert made.charge_nanos <= reserved.charge_nanos


KINDS = ("input", "cached_input", "cache_write", "output", "reasoning")
kinds = st.fixed_dictionaries(dict.fromkeys(KINDS, counts))


def usage_of(kinds_used: dict[str, int]) -> usage_pb2.Usage:
    return usage_pb2.Usage(
        input_tokens=sum(kinds_used[kind] for kind in KINDS[:3]),
        cached_input_tokens=kinds_used["cached_input"],
        cache_write_input_tokens=kinds_used["cache_write"],
        output_tokens=sum(kinds_used[kind] for kind in KINDS[3:]),
        reasoning_output_tokens=kinds_used["reasoning"],
    )


@st.composite
def rising_prices(draw: st.DrawFn) -> Price:
    starts = [0, *sorted(draw(st.sets(st.integers(1, 10**9), max_size=3)))]
    steps = [{kind: draw(rates) for kind in KINDS} for _ in starts]
    return price(*(Tier(n, {k: sum(step[k] for step in steps[: i + 1]) for k in KINDS}) for i, n in enumerate(starts)))


@given(rising_prices(), kinds, kinds)
def test_more_use_never_costs_less(listed: Price, used: dict[str, int], more: dict[str, int]) -> None:
    both = {kind: used[kind] + more[kind] for kind in KINDS}
    less, full = (bill(listed, usage_of(each), NANOS).cost_nano_usd for each in (used, both))
    assert less <= full


@given(usages(), st.integers(0, 10**12))
def test_a_price_of_nothing_costs_nothing(usage: usage_pb2.Usage, credits_per_usd_nanos: int) -> None:
    usage.unit_counts.pop("searches", None)
    made = bill(flat(**FREE), usage, credits_per_usd_nanos)
    assert (made.cost_nano_usd, made.charge_nanos, made.unpriced) == (0, 0, ())


@given(prices(), usages(), st.integers(0, 10**12))
def test_every_amount_is_a_whole_number(listed: Price, usage: usage_pb2.Usage, credits_per_usd_nanos: int) -> None:
    for made in (bill(listed, usage, credits_per_usd_nanos), most(listed, 10**6, 10**6, credits_per_usd_nanos)):
        assert {type(made.cost_nano_usd), type(made.charge_nanos)} == {int}


@given(usages())
def test_each_token_is_counted_once(usage: usage_pb2.Usage) -> None:
    every = flat(**dict.fromkeys(["input", "output", *PART_OF], 1_000_000))
    usage.unit_counts.pop("searches", None)
    assert bill(every, usage, NANOS).cost_nano_usd == usage.input_tokens + usage.output_tokens


def test_a_price_with_a_fraction_cannot_be_read() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"version":"v","effective_from":"2026-01-01","tiers":[[0,{"input":0.5}]]}', type=Price)


@given(
    counts=st.lists(st.integers(-5, 10**6), min_size=5, max_size=5),
    prices=st.lists(st.integers(0, 10**9), min_size=6, max_size=6),
)
def test_plain_calls_cost_what_the_general_rule_says(counts: list[int], prices: list[int]) -> None:
    units = dict(zip(("input", "cached_input", "cache_write", "output", "reasoning", "request"), prices, strict=True))
    price = Price("plain", date(2026, 1, 1), (Tier(0, units),))
    tokens, cached, written, output, reasoning = counts
    usage = usage_pb2.Usage(
        input_tokens=tokens,
        cached_input_tokens=cached,
        cache_write_input_tokens=written,
        output_tokens=output,
        reasoning_output_tokens=reasoning,
    )
    general = usage_pb2.Usage(unit_counts={"searches": 0})
    general.MergeFrom(usage)
    assert bill(price, usage, NANOS) == bill(price, general, NANOS)


USED = usage_pb2.Usage(input_tokens=10, output_tokens=100, unit_counts={"images": 2})


def test_the_most_of_other_work_counts_what_has_a_price() -> None:
    paying = frozenset(("images", "output", "output_image"))
    assert most_used(flat(images=7 * PER_UNITS), USED, paying, NANOS).cost_nano_usd == 14
    assert most_used(flat(input=PER_UNITS, output=2 * PER_UNITS), USED, paying, NANOS).cost_nano_usd == 210


def test_the_most_of_other_work_counts_the_dearest_part() -> None:
    price = flat(input=PER_UNITS, input_image=3 * PER_UNITS, output=2 * PER_UNITS, output_image=5 * PER_UNITS)
    assert most_used(price, USED, frozenset(("output",)), NANOS).cost_nano_usd == 10 * 3 + 100 * 5


@pytest.mark.parametrize("units", [{"pages": 1}, {"input": 1}, {"characters": 1}])
def test_a_price_for_something_else_is_no_price(units: dict[str, int]) -> None:
    with pytest.raises(TrunklineError) as caught:
        most_used(flat(**units), USED, frozenset(("images", "output")), NANOS)
    assert caught.value.reason == Reason.PRICE_UNKNOWN
