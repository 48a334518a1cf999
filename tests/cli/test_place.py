from __future__ import annotations

import json
from pathlib import Path

import pytest

from trunkline_server.cli.failure import Failure, Misuse
from trunkline_server.cli.place import Place

KEY = "tl_live_local"


@pytest.fixture
def local(quiet_place: Path) -> Path:
    """A data directory in which a gateway has been."""
    path = quiet_place / ".trunkline"
    path.mkdir()
    (path / "addresses.json").write_text(json.dumps({"grpc": "127.0.0.1:4444"}))
    (path / "admin.key").write_text(KEY + "\n")
    return path


def test_nothing_given_is_the_local_gateway(local: Path) -> None:
    assert Place.find(None, None) == Place("127.0.0.1:4444", KEY)


def test_the_local_key_is_sent_to_no_other_gateway(local: Path) -> None:
    assert Place.find("elsewhere:1", None) == Place("elsewhere:1", "")
    assert Place.find("127.0.0.1:4444", None) == Place("127.0.0.1:4444", KEY)


def test_what_is_given_wins(local: Path) -> None:
    assert Place.find("elsewhere:1", "mine") == Place("elsewhere:1", "mine")
    assert Place.find(None, "mine") == Place("127.0.0.1:4444", "mine")


def test_before_the_first_start_it_is_where_the_settings_say(
    quiet_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Place.find(None, None) == Place("127.0.0.1:50051", "")
    monkeypatch.setenv("TRUNKLINE_GRPC__ADDRESS", "127.0.0.1:7")
    assert Place.find(None, None) == Place("127.0.0.1:7", "")


@pytest.mark.parametrize("written", ["", "[]", "{}", "\xff"])
def test_a_file_of_addresses_that_cannot_be_read_is_none(local: Path, written: str) -> None:
    (local / "addresses.json").write_text(written, "latin-1")
    assert Place.find(None, None).address == "127.0.0.1:50051"


def test_wrong_settings_do_not_matter_to_whoever_gives_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_NO_SUCH", "1")
    assert Place.find("elsewhere:1", "mine") == Place("elsewhere:1", "mine")
    with pytest.raises(Misuse, match="no_such"):
        Place.find("elsewhere:1", None)


def test_a_key_that_cannot_be_read_is_told(local: Path) -> None:
    (local / "admin.key").unlink()
    (local / "admin.key").mkdir()
    with pytest.raises(Failure, match=r"admin\.key cannot be read; give --key"):
        Place.find(None, None)


@pytest.mark.parametrize("key", ["a\nb", "schlüssel", "\x1b[31m"])
def test_a_key_must_fit_on_a_line(key: str) -> None:
    with pytest.raises(Misuse, match="--key"):
        Place.find("elsewhere:1", key)
