"""Processes tell each other their figures through files."""

from __future__ import annotations

import os
from pathlib import Path

from trunkline_server.core.figures import Family, level, total
from trunkline_server.house.place import FRESH_S, Place


def place(folder: Path, number: int, calls: int) -> Place:
    def told() -> list[Family]:
        return [total("calls_total", "Calls.", calls), level("inside", "Inside.", calls)]

    return Place(folder / f"{number}.figures", told)


def sums(asked: Place) -> dict[str, float]:
    return {family.name: family.samples[()][0] for family in asked.figures()}


def test_each_tells_of_all(tmp_path: Path) -> None:
    one, two = place(tmp_path, 1, 3), place(tmp_path, 2, 4)
    one.write()
    two.write()
    assert sums(one) == sums(two) == {"calls_total": 7, "inside": 7}


def test_one_begins_where_the_one_before_it_ended(tmp_path: Path) -> None:
    place(tmp_path, 1, 3).write()
    again = place(tmp_path, 1, 5)
    assert sums(again) == {"calls_total": 8, "inside": 5}
    again.write()
    assert sums(place(tmp_path, 2, 0)) == {"calls_total": 8, "inside": 5}


def test_of_one_that_is_gone_only_what_it_counted_is_told(tmp_path: Path) -> None:
    place(tmp_path, 1, 3).write()
    file = tmp_path / "1.figures"
    os.utime(file, (0, file.stat().st_mtime - 2 * FRESH_S))
    assert sums(place(tmp_path, 2, 4)) == {"calls_total": 7, "inside": 4}


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "1.figures").write_bytes(b"\xc1 nonsense")
    assert sums(place(tmp_path, 2, 4)) == {"calls_total": 4, "inside": 4}


def test_a_place_that_cannot_be_written_harms_nobody(tmp_path: Path) -> None:
    lost = place(tmp_path / "nowhere", 1, 3)
    lost.write()
    assert sums(lost) == {"calls_total": 3, "inside": 3}
