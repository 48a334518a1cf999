"""Reports from the console: on the terminal, and as files to keep."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

from tests.cli.conftest import Called


async def test_a_report_by_period(called: Called) -> None:
    for user in ("ann", "ann", "bob"):
        await called("chat", "--user", user, "hi")
    title, ann, bob = (await called("analytics", "report", "--by", "user", "--period", "month")).stdout.splitlines()
    assert title.split()[:4] == ["FROM", "OF", "CALLS", "FAILED"]
    month = f"{datetime.now(UTC):%Y-%m-01}"
    assert ann.split()[:4] == [month, "ann", "2", "0"]
    assert ann.split()[-2:] == ["0.000006", "0.000006"]
    assert bob.split()[:4] == [month, "bob", "1", "0"]


async def test_reports_to_keep(called: Called, quiet_place: Path) -> None:
    await called("chat", "--user", "ann", "hi")
    await called("analytics", "event", "liked", "--value", "2")
    told = json.loads((await called("analytics", "report", "--format", "json")).stdout)
    assert (told["calls"], told["events"][0]["value"]) == (1, 2.0)
    for name in ("csv", "html"):
        done = await called("analytics", "report", "--export", f"report.{name}", "--by", "model")
        assert done.stderr == f"report.{name}: 1 calls, 0.000003 credits\n"
    (line,) = csv.DictReader((quiet_place / "report.csv").read_text().splitlines())
    assert (line["model"], line["charge_credits"]) == ("echo", "0.000003")
    assert (quiet_place / "report.html").read_text().startswith("<!doctype html>")
    assert (await called("analytics", "report", "--export", "table.txt")).exit_code == 2
    nowhere = await called("analytics", "report", "--export", "nowhere/report.csv")
    told = "trunkline: nowhere/report.csv cannot be written: No such file or directory\n"
    assert (nowhere.exit_code, nowhere.stderr) == (1, told)


async def test_how_calls_went_and_what_goes_on(called: Called) -> None:
    await called("chat", "hi")
    title, row = (await called("analytics", "performance")).stdout.splitlines()
    assert title.split()[:3] == ["OF", "CALLS", "FAILED"]
    assert row.split()[:3] == ["sandbox/echo", "1", "0.00%"]
    now = dict(line.split(maxsplit=1) for line in (await called("analytics", "now")).stdout.splitlines())
    assert (now["held"], now["calls"], now["models"]) == ("0", "1", "sandbox/echo 1")
