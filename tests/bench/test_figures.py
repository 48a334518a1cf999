"""What the bench is held to."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.bench import figures
from tests.bench.figures import Figures


@pytest.fixture
def found() -> Figures:
    fields = dict.fromkeys(Figures.__struct_fields__, 1.0)
    return Figures(**fields | {"echo_us": 200.0, "client_us": 100.0, "gateway_us": 450.0, "burst_delta_us": 10.0})


def test_ratios_are_costs_over_the_floors_of_the_same_run(found: Figures) -> None:
    assert found.ratios["unary over floors"] == 1.5
    assert found.ratios["burst delta over echo"] == 0.05


def test_a_quarter_worse_is_told_and_less_is_not() -> None:
    recorded = {"unary": 2.0, "burst": 1.0}

    assert figures.worse({"unary": 2.49, "burst": 0.5}, recorded) == []
    assert figures.worse({"unary": 2.51, "burst": 0.5}, recorded) == ["unary: 2.510, recorded 2.000"]


def test_a_ratio_that_was_never_recorded_is_not_held_to_anything() -> None:
    assert figures.worse({"new": 9.0}, {}) == []


def test_what_was_recorded_is_read_again(found: Figures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "BASELINE", tmp_path / "baseline.json")

    assert figures.recorded() == {}
    figures.record(found.ratios)

    assert figures.recorded() == {name: round(ratio, 4) for name, ratio in found.ratios.items()}


def test_the_table_shows_every_goal_beside_its_figure(found: Figures) -> None:
    lines = figures.told(found).splitlines()

    assert next(line.split() for line in lines if "over the two floors" in line)[-2:] == ["1.50", "1.4"]
    assert len({len(line) for line in lines}) == 1


def test_the_kept_baseline_names_the_ratios_there_are(found: Figures) -> None:
    kept = msgspec.json.decode(figures.BASELINE.read_bytes(), type=dict[str, float])

    assert kept.keys() == found.ratios.keys()
