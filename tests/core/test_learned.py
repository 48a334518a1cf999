"""What a catalogue makes of offers, prices that were set, and aliases."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from trunkline_server.core.catalogue import Catalogue
from trunkline_server.core.clause import EVERY_NAME, Equals, Or, StartsWith
from trunkline_server.core.learned import Learned, followed
from trunkline_server.core.model import ModelEntry
from trunkline_server.core.pricing import Price, Tier


def price(version: str, day: int = 1, hour: int = 0) -> Price:
    return Price(version, date(2026, 1, day), (Tier(0, {"input": 1, "output": 1}),), time(hour))


def versions(prices: tuple[Price, ...]) -> list[str]:
    return [each.version for each in prices]


MINI = ModelEntry("acme", "mini", match=StartsWith("big-mini"), context_window=10, prices=(price("mini"),))
BIG = ModelEntry("acme", "big", match=StartsWith("big"), context_window=20, prices=(price("big"), price("big 9", 9)))
OTHER = ModelEntry("zeta", "big-new", prices=(price("zeta"),))
SEED = Catalogue([MINI, BIG, OTHER])


def learned(*offers: ModelEntry, **prices: list[Price]) -> Catalogue:
    return SEED.with_learned(Learned(offers, {f"acme/{model}": told for model, told in prices.items()}))


def entry(catalogue: Catalogue, model: str) -> ModelEntry:
    found = catalogue.find("acme", model)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([price("b", 5)], ["a1", "b"]),
        ([price("b", 9)], ["a1", "b"]),
        ([price("b", 9, hour=1)], ["a1", "a9", "b"]),
        ([price("later", 20), price("b", 5)], ["a1", "b", "later"]),
        ([price("wrong", 5), price("right", 5)], ["a1", "wrong", "right"]),
        ([price("b", 1)], ["b"]),
    ],
)
def test_prices_that_were_set_follow_the_others(told: list[Price], expected: list[str]) -> None:
    assert versions(followed([price("a1", 1), price("a9", 9)], told)) == expected


def test_of_two_prices_for_a_moment_the_later_word_counts() -> None:
    model = ModelEntry("acme", "x", prices=followed((), [price("wrong"), price("right")]))
    found = model.price_at(datetime(2026, 1, 1, tzinfo=UTC))
    assert found is not None
    assert found.version == "right"


def test_a_price_begins_at_its_hour() -> None:
    model = ModelEntry("acme", "x", prices=(price("old"), price("new", 2, hour=7)))
    moments = [datetime(2026, 1, 2, hour, tzinfo=UTC) for hour in (6, 7)]
    assert [found.version for moment in moments if (found := model.price_at(moment))] == ["old", "new"]
    at_midnight = model.price_on(date(2026, 1, 2))
    assert at_midnight is not None
    assert at_midnight.version == "old"


def test_a_set_price_keeps_the_place_and_the_names_of_its_model() -> None:
    catalogue = learned(big=[price("set", 5)])
    assert versions(entry(catalogue, "big-2026").prices) == ["big", "set"]
    assert entry(catalogue, "big-mini-2026").model == "mini"


def test_a_set_price_makes_a_model_of_a_name_that_only_a_pattern_had() -> None:
    catalogue = learned(**{"big-special": [price("set", 5)]})
    special = entry(catalogue, "big-special")
    assert (special.model, special.context_window, versions(special.prices)) == ("big-special", 20, ["big", "set"])
    assert versions(entry(catalogue, "big-other").prices) == ["big", "big 9"]
    assert "big-special" in [each.model for each in catalogue.listing("acme")]


def test_a_set_price_wins_over_the_settings_too() -> None:
    own = ModelEntry("acme", "big", prices=(price("own"),))
    catalogue = Catalogue([BIG], [own], Learned(prices={"acme/big": [price("set", 5)]}))
    assert versions(entry(catalogue, "big").prices) == ["own", "set"]


def test_an_offer_adds_what_it_says_to_what_is_known() -> None:
    catalogue = learned(ModelEntry("acme", "big-7", "Big 7", max_output_tokens=5), ModelEntry("acme", "tiny"))
    big, tiny = entry(catalogue, "big-7"), entry(catalogue, "tiny")
    assert (big.display_name, big.context_window, big.max_output_tokens, big.prices) == ("Big 7", 20, 5, BIG.prices)
    assert (tiny.prices, tiny.is_any) == ((), False)
    assert SEED.find("acme", "tiny") is None


def test_an_offer_of_a_known_model_changes_nothing() -> None:
    assert learned(ModelEntry("acme", "big")).listing() == SEED.listing()


def test_an_offer_without_a_price_does_not_take_a_bare_name() -> None:
    assert SEED.candidates("other", ["acme", "zeta"]) == []
    catalogue = Catalogue([OTHER], (), Learned([ModelEntry("acme", "big-new")]))
    assert catalogue.candidates("big-new", ["acme", "zeta"]) == [("zeta", "big-new")]


def test_what_is_offered_where_everything_is_free_is_free() -> None:
    catalogue = Catalogue([], [ModelEntry("acme", "*", match=EVERY_NAME, prices=(price("free"),))])
    found = catalogue.with_learned(Learned([ModelEntry("acme", "llama")])).listing()
    assert [(each.model, versions(each.prices)) for each in found] == [("llama", ["free"])]


def test_a_spelled_name_of_another_model_is_its_own_once_it_has_a_price() -> None:
    catalogue = Catalogue([ModelEntry("acme", "big", match=Or((Equals("big"), Equals("large"))), prices=(price("a"),))])
    told = catalogue.with_learned(Learned(prices={"acme/large": [price("b", 5)]}))
    assert [versions(entry(told, name).prices) for name in ("big", "large")] == [["a"], ["a", "b"]]


def test_when_the_next_price_begins() -> None:
    catalogue = learned(big=[price("set", 5, hour=3)])
    assert catalogue.next_change(datetime(2026, 1, 2, tzinfo=UTC)) == datetime(2026, 1, 5, 3, tzinfo=UTC)
    assert catalogue.next_change(datetime(2026, 1, 5, 3, tzinfo=UTC)) is None
