"""Our own list of prices: told as providers tell them, kept to the nano, and on top of the seed."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tools import update_models
from tools.model_seed import dated, seeded
from tools.price_list import SOURCE, listed, with_listed
from trunkline_server.core.catalogue import read_entries
from trunkline_server.core.model import ModelEntry
from trunkline_server.core.pricing import BEGINNING, Tier

TODAY = date(2026, 11, 21)


def entries(path: Path, *rows: dict[str, Any]) -> list[ModelEntry]:
    file = path / "prices.json"
    file.write_text(json.dumps([{"provider": "acme", "model": "m", **row} for row in rows]))
    return listed(file)


def test_a_price_is_for_so_many_of_a_unit(tmp_path: Path) -> None:
    usd = {"searches": ["2.00", 1000], "audio_ms": ["0.006", 60_000], "input": ["0.10", 1_000_000]}
    (told,) = entries(tmp_path, {"usd": usd})

    (price,) = told.prices
    assert price.tiers == (Tier(0, {"searches": 2_000_000_000_000, "audio_ms": 100_000_000, "input": 100_000_000}),)
    assert (price.source, price.effective_from) == (SOURCE, BEGINNING)


def test_free_is_said_and_never_meant_by_silence(tmp_path: Path) -> None:
    (told,) = entries(tmp_path, {"free": True})

    assert told.prices[0].tiers == (Tier(0, {"input": 0, "output": 0}),)
    for row in ({}, {"free": True, "usd": {"input": ["1", 1]}}):
        with pytest.raises(msgspec.ValidationError):
            entries(tmp_path, row)


def test_more_names_mean_the_same_model(tmp_path: Path) -> None:
    (told,) = entries(tmp_path, {"free": True, "names": ["m-latest"]})

    assert [told.clause.matches(name) for name in ("m", "m-latest", "m-other")] == [True, True, False]


def test_rows_of_one_model_are_its_prices_by_day(tmp_path: Path) -> None:
    later = {"usd": {"input": ["1", 1_000_000]}, "since": "2027-01-01"}
    (told,) = entries(tmp_path, later, {"usd": {"input": ["2", 1_000_000]}})

    assert [price.effective_from for price in told.prices] == [BEGINNING, date(2027, 1, 1)]


def test_a_model_of_the_seed_gets_our_price_and_keeps_the_rest(tmp_path: Path) -> None:
    known = ModelEntry("acme", "m", "Em", context_window=9, prices=(dated(BEGINNING, (Tier(0, {"input": 1}),)),))
    own = entries(tmp_path, {"usd": {"input": ["2", 1_000_000]}}, {"model": "n", "free": True})

    first, second = with_listed([known], own)

    assert (first.display_name, first.context_window, first.prices) == ("Em", 9, own[0].prices)
    assert second == own[1]


def test_the_source_stays_with_a_price_that_is_appended(tmp_path: Path) -> None:
    (own,) = entries(tmp_path, {"usd": {"input": ["2", 1_000_000]}})
    known = ModelEntry("acme", "m", prices=(dated(BEGINNING, (Tier(0, {"input": 1}),)),))

    (merged,) = update_models.merged([known], [own], TODAY)

    assert [(price.effective_from, price.source) for price in merged.prices] == [
        (BEGINNING, "built-in"),
        (TODAY, SOURCE),
    ]


def test_what_ships_holds_the_list() -> None:
    shipped = {entry.name: entry for entry in read_entries(update_models.MODELS.read_bytes())}

    for entry in listed():
        assert shipped[entry.name].prices[-1].tiers == entry.prices[-1].tiers


def test_the_list_names_no_model_twice_in_one_day() -> None:
    assert with_listed(seeded(), listed())
    for entry in listed():
        assert len({price.effective_from for price in entry.prices}) == len(entry.prices)
