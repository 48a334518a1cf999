"""What reaches the terminal: text without control characters, tables, JSON lines, durations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import click
import pytest

from trunkline.v1 import admin_pb2
from trunkline_server.cli.duration import Duration
from trunkline_server.cli.failure import Failure
from trunkline_server.cli.plain import one_line, plain, shown
from trunkline_server.cli.rows import show, show_fields, when

COLUMNS = {"NAME": lambda tenant: tenant.name, "MADE": lambda tenant: when(tenant.create_time)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("größer ☃\n\tx", "größer ☃\n\tx"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x1b]52;c;cGFzdGU=\x07", "]52;c;cGFzdGU="),
        ("a\rb\x08c\x9bd\x7fe", "abcde"),
    ],
)
def test_plain_text_cannot_steer_a_terminal(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_one_line_is_one_line() -> None:
    assert one_line("a\n  b\r\n\x1b[1mc") == "a b [1mc"


def test_only_a_terminal_gets_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown("\x1b[1m") == "\x1b[1m"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert shown("\x1b[1m") == "[1m"


def test_a_failure_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Failure("first\nsecond").show()
    assert capsys.readouterr() == ("", "trunkline: first second\n")


def test_a_table_in_a_pipe_is_neither_cut_nor_coloured(capsys: pytest.CaptureFixture[str]) -> None:
    show([admin_pb2.Tenant(name="n" * 300), admin_pb2.Tenant(name="[red]x\n\x1b[1m")], COLUMNS, as_json=False)
    title, first, second = capsys.readouterr().out.splitlines()
    assert title.split() == ["NAME", "MADE"]
    assert first == "n" * 300
    assert second == "[red]x [1m"


def test_no_rows_are_a_title(capsys: pytest.CaptureFixture[str]) -> None:
    show([], COLUMNS, as_json=False)
    assert capsys.readouterr().out.split() == ["NAME", "MADE"]


def test_json_comes_row_by_row(capsys: pytest.CaptureFixture[str]) -> None:
    printed = []

    def tenants() -> Iterator[admin_pb2.Tenant]:
        for name in ("ä", "b"):
            yield admin_pb2.Tenant(name=name)
            printed.append(json.loads(capsys.readouterr().out))

    show(tenants(), COLUMNS, as_json=True)
    assert printed == [{"name": "ä"}, {"name": "b"}]


def test_fields_that_are_empty_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    show_fields(admin_pb2.Tenant(name="x"), COLUMNS, as_json=False)
    assert capsys.readouterr().out == "NAME  x\n"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("24h", timedelta(days=1)),
        ("30d", timedelta(days=30)),
        ("0s", timedelta(0)),
    ],
)
def test_durations(typed: str, expected: timedelta) -> None:
    assert Duration().convert(typed, None, None) == expected
    assert Duration().convert(expected, None, None) == expected


@pytest.mark.parametrize("typed", ["", "1", "d", "1w", "-1d", "1.5h", "36501d", "9999999999d", "٣d"])
def test_what_is_no_duration(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a duration like"):
        Duration().convert(typed, None, None)
