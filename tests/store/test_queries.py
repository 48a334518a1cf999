"""Named statements, and that modules and their `.sql` files agree on the names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trunkline_server.store import queries

STORE = Path(queries.__file__).parent
MODULES = sorted(path.with_suffix(".py") for path in STORE.glob("*.sql"))


def test_sections_and_their_remarks() -> None:
    first = "-- about the file\n\n-- name: first\nSELECT 1\n\n"
    second = "-- about the second\n-- in two lines\n-- name: second\nSELECT 2 -- two\n"
    assert queries.parse(first + second, "x.sql") == {"first": "SELECT 1", "second": "SELECT 2 -- two"}


@pytest.mark.parametrize("text", ["SELECT 1", "-- name: a\nSELECT 1\n-- name: a\nSELECT 2\n"])
def test_a_file_must_name_each_statement_once(text: str) -> None:
    with pytest.raises(ValueError, match=r"x\.sql"):
        queries.parse(text, "x.sql")


def test_an_unknown_name_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "thing.sql").write_text("-- name: a\nSELECT 1\n")
    loaded = queries.load(str(tmp_path / "thing.py"))
    assert loaded.a == "SELECT 1"
    with pytest.raises(AttributeError, match=r"'b' in thing\.sql"):
        _ = loaded.b


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_uses_every_statement_of_its_file_and_no_other(module: Path) -> None:
    used = set(re.findall(r"_SQL\.([a-z][a-z0-9_]*)", module.read_text()))
    assert used == set(queries.parse(module.with_suffix(".sql").read_text(), module.stem))
