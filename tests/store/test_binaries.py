"""The programs of the embedded database, put where everybody may go."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from trunkline_server.store import binaries
from trunkline_server.store.binaries import EmbeddedPostgresError, installed, within_reach


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(binaries, "PLACES", (tmp_path / "missing", tmp_path))
    return tmp_path


def test_they_run_from_there_and_are_put_there_once(place: Path) -> None:
    found = within_reach(installed())
    assert found.is_relative_to(place)
    told = subprocess.run([found / "initdb", "--version"], capture_output=True, check=True)
    assert b"PostgreSQL" in told.stdout
    [only] = place.iterdir()
    assert (only.stat().st_mode & 0o777) == 0o755
    assert within_reach(installed()) == found
    assert list(place.iterdir()) == [only]


def test_what_others_may_write_is_not_run(place: Path) -> None:
    within_reach(installed())
    [only] = place.iterdir()
    only.chmod(0o777)
    with pytest.raises(EmbeddedPostgresError, match="remove it"):
        within_reach(installed())


def test_without_a_place_it_is_told_what_helps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(binaries, "PLACES", (tmp_path / "missing",))
    with pytest.raises(EmbeddedPostgresError, match="install elsewhere"):
        within_reach(installed())
