"""The seed is told in our words without losing a nano, and prices that were written stay written."""

from __future__ import annotations

import warnings
from datetime import date, time
from decimal import Decimal

import msgspec
import pytest
from genai_prices import data, types

from tools import model_seed, update_models
from trunkline.v1 import usage_pb2
from trunkline_server.core.catalogue import Catalogue, read_entries
from trunkline_server.core.clause import Equals, Or
from trunkline_server.core.model import ModelEntry
from trunkline_server.core.money import NANOS
from trunkline_server.core.pricing import BEGINNING, Price, Tier, bill

TODAY = date(2026, 11, 21)
LATER = date(2027, 1, 1)


def seed_model(
    *prices: types.ConditionalPrice, match: types.MatchLogic | None = None, model_id: str = "m"
) -> types.ModelInfo:
    return types.ModelInfo(id=model_id, match=match or types.ClauseEquals(model_id), prices=list(prices))


def row(
    constraint: types.StartDateConstraint | types.TimeOfDateConstraint | None, **usd: str
) -> types.ConditionalPrice:
    return types.ConditionalPrice(
        constraint, prices=types.ModelPrice(**{key: Decimal(each) for key, each in usd.items()})
    )


def prices(*rows: tuple[date, int]) -> tuple[Price, ...]:
    return tuple(model_seed.dated(day, (Tier(0, {"input": nanos}),)) for day, nanos in rows)


# The seed in our words.


def test_units_are_counted_by_the_million() -> None:
    told = model_seed.entry(
        "acme", seed_model(row(None, input_mtok="2.5", web_searches_kcount="10", audio_hours="0.36", input_mchars="15"))
    )
    assert told.prices[0].tiers[0].units == {
        "input": 2_500_000_000,
        "searches": 10_000 * NANOS,
        "audio_ms": 100_000_000,
        "characters": 15 * NANOS,
    }


def test_a_fraction_of_a_nano_rounds_up() -> None:
    told = model_seed.entry("acme", seed_model(row(None, input_mtok="0.0833333333333333")))
    assert told.prices[0].tiers[0].units == {"input": 83_333_334}


def test_a_unit_that_we_do_not_know_stops_the_update() -> None:
    with pytest.raises(KeyError):
        model_seed.entry("acme", seed_model(row(None, moon_phases_kcount="1")))


def test_by_the_time_of_day_the_dearer_counts() -> None:
    night = types.TimeOfDateConstraint(time(16), time(23))
    told = model_seed.entry(
        "acme", seed_model(row(None, input_mtok="2", output_mtok="3"), row(night, input_mtok="1", output_mtok="4"))
    )
    assert [price.tiers[0].units for price in told.prices] == [{"input": 2 * NANOS, "output": 4 * NANOS}]


def test_dated_prices_stay_dated() -> None:
    told = model_seed.entry(
        "acme", seed_model(row(None, input_mtok="2"), row(types.StartDateConstraint(TODAY), input_mtok="1"))
    )
    assert [price.effective_from for price in told.prices] == [BEGINNING, TODAY]


def test_a_model_without_prices_is_not_free_unless_it_is_called_so() -> None:
    assert model_seed.entry("acme", seed_model(row(None))).prices == ()
    free = model_seed.entry("acme", seed_model(row(None), model_id="m:free"))
    assert free.prices[0].tiers[0].units == {"input": 0, "output": 0}


def test_a_model_is_called_by_a_name_that_means_it() -> None:
    named = types.ClauseOr([types.ClauseEquals("m-latest"), types.ClauseStartsWith("m-2")])
    patterned = types.ClauseStartsWith("m-2")
    assert model_seed.entry("acme", seed_model(match=named)).model == "m-latest"
    kept = model_seed.entry("acme", seed_model(match=patterned))
    assert kept.model == "m"
    assert kept.clause.matches("m")
    assert kept.clause.matches("m-2026")
    assert not kept.clause.matches("m-1")


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("gpt-4o", 16_384),
        ("gpt-4o-mini", 16_384),
        ("gpt-4", 8_192),
        ("gpt-4-turbo-2024-04-09", 4_096),
        ("gpt-4.1-nano", 32_768),
        ("openai/o3-mini", 100_000),
        ("claude-3-5-sonnet", 8_192),
        ("gpt-4ooo", 0),
        ("my-gpt-4o", 0),
    ],
)
def test_the_longest_answer(model: str, tokens: int) -> None:
    assert model_seed.limit(model) == tokens


def test_the_router_is_priced_at_the_dearest_that_it_may_choose() -> None:
    cheap, dear = (
        types.Provider(id=f"huggingface_{name}", name=name, api_pattern="", models=[seed_model(row(None, **usd))])
        for name, usd in (
            ("one", {"input_mtok": "1", "output_mtok": "5"}),
            ("two", {"input_mtok": "2", "output_mtok": "3"}),
        )
    )
    told = {each.model: each for each in model_seed.routed([cheap, dear])}
    assert set(told) == {"m", "m:one", "m:two"}
    assert told["m:one"].prices[0].tiers[0].units == {"input": NANOS, "output": 5 * NANOS}
    assert told["m"].prices[0].tiers[0].units == {"input": 2 * NANOS, "output": 5 * NANOS}
    assert told["m"].clause.matches("m:cheapest")


@pytest.mark.parametrize("provider", [theirs for _, theirs, _ in model_seed.SEEDS])
def test_our_bills_are_the_seeds_own(provider: str) -> None:
    (theirs,) = (each for each in data.providers if each.id == provider)
    apart = [model.id for model in theirs.models if not same_bill(model)]
    assert apart == []


def same_bill(model: types.ModelInfo) -> bool:
    """The seed counts in exact decimals; ours may be above by the fractions that its prices were rounded up by."""
    usage = {"input_tokens": 250_000, "cache_read_tokens": 90_001, "cache_write_tokens": 7, "output_tokens": 31_003}
    ours = usage_pb2.Usage(
        input_tokens=250_000, cached_input_tokens=90_001, cache_write_input_tokens=7, output_tokens=31_003
    )
    listed = model_seed.prices(model)
    expected = theirs(model, usage, listed[-1].effective_from) if listed else Decimal(0)
    cost = bill(listed[-1], ours, NANOS).cost_nano_usd if listed else 0
    return 0 <= cost - expected * NANOS < 2


def theirs(model: types.ModelInfo, usage: dict[str, int], day: date) -> Decimal:
    rows = model.prices if isinstance(model.prices, list) else [types.ConditionalPrice(prices=model.prices)]
    constraint = None if day == BEGINNING else types.StartDateConstraint(day)
    (price,) = (each.prices for each in rows if each.constraint == constraint)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return price.calc_price(types.Usage(**usage))["total_price"]


# What was written stays.


def test_nothing_new_changes_nothing() -> None:
    known = prices((BEGINNING, 1), (date(2026, 3, 1), 2))
    assert update_models.appended(known, known, TODAY) == known


def test_a_new_price_counts_from_today_on() -> None:
    known = prices((BEGINNING, 1))
    assert update_models.appended(known, prices((BEGINNING, 2)), TODAY) == prices((BEGINNING, 1), (TODAY, 2))


def test_a_price_that_the_seed_dates_back_does_not_change_the_past() -> None:
    known = prices((BEGINNING, 1))
    seed = prices((BEGINNING, 1), (date(2026, 3, 1), 2))
    assert update_models.appended(known, seed, TODAY) == prices((BEGINNING, 1), (TODAY, 2))


def test_a_price_that_is_announced_counts_from_its_day_on() -> None:
    known = prices((BEGINNING, 1))
    assert update_models.appended(known, prices((BEGINNING, 1), (LATER, 2)), TODAY) == prices(
        (BEGINNING, 1), (LATER, 2)
    )


def test_what_changes_today_goes_before_what_was_announced() -> None:
    known = prices((BEGINNING, 1), (LATER, 2))
    seed = prices((BEGINNING, 3), (LATER, 2))
    assert update_models.appended(known, seed, TODAY) == prices((BEGINNING, 1), (TODAY, 3), (LATER, 2))


def test_an_announced_price_that_is_taken_back_never_counts() -> None:
    known = prices((BEGINNING, 1), (LATER, 2))
    kept = update_models.appended(known, prices((BEGINNING, 1)), TODAY)
    assert kept == prices((BEGINNING, 1), (LATER, 2), (LATER, 1))
    assert ModelEntry("acme", "m", prices=kept).price_on(LATER) == kept[-1]


def test_a_model_that_gets_its_first_price_later() -> None:
    assert update_models.appended((), prices((BEGINNING, 1)), TODAY) == prices((TODAY, 1))


def test_models_that_the_seed_forgot_stay_and_new_ones_come() -> None:
    known = [ModelEntry("acme", "gone", prices=prices((BEGINNING, 1))), ModelEntry("acme", "kept", context_window=1)]
    seed = [ModelEntry("zen", "new"), ModelEntry("acme", "kept", context_window=2)]
    merged = update_models.merged(known, seed, TODAY)
    assert [(each.name, each.context_window) for each in merged] == [("acme/kept", 2), ("acme/gone", 0), ("zen/new", 0)]
    assert merged[1] is known[0]


def test_the_file_is_read_as_it_was_written() -> None:
    entries = [
        ModelEntry("acme", "m", match=Or((Equals("m"), Equals("n"))), prices=prices((BEGINNING, 1))),
        ModelEntry("acme", "o"),
    ]
    written = update_models.spell(entries)
    assert read_entries(written) == entries
    assert written.count(b"\n") == len(entries) + 2


def test_the_whole_seed_can_be_read() -> None:
    seeded = model_seed.seeded()
    assert len(Catalogue(seeded).listing()) == len(seeded) > 1000
    assert all(msgspec.json.decode(msgspec.json.encode(each), type=ModelEntry) == each for each in seeded)
