from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Called, Typed


def _row(text: str, number: int = 1) -> list[str]:
    return text.splitlines()[number].split()


async def test_a_limit_is_set_listed_used_and_deleted(called: Called) -> None:
    put = await called("limits", "set", "calm", "5", "requests", "--per", "1h", "--user", "*")
    assert put.exit_code == 0
    assert _row((await called("limits")).stdout) == ["calm", "5", "requests", "3600s", "token-bucket", "user=*"]

    await called("chat", "--user", "ann", "hi")
    left = (await called("quota", "--user", "ann")).stdout
    assert _row(left)[:4] == ["calm", "4", "5", "requests"]

    assert (await called("limits", "delete", "calm")).stdout == "calm is gone\n"
    assert (await called("limits")).stdout.splitlines()[1:] == []


async def test_calls_at_once_and_windows(called: Called) -> None:
    await called("limits", "set", "few", "3", "concurrency", "--model", "echo")
    await called("limits", "set", "more", "9", "tokens", "--per", "60s", "--algorithm", "sliding-window")
    first, second = (await called("limits", "--json")).stdout.splitlines()
    assert json.loads(first)["unit"] == "LIMIT_UNIT_CONCURRENCY"
    assert json.loads(second)["algorithm"] == "LIMIT_ALGORITHM_SLIDING_WINDOW"


async def test_a_refused_call_says_why(called: Called) -> None:
    await called("limits", "set", "one", "1", "requests", "--per", "1h")
    await called("chat", "hi")
    result = await called("chat", "hi")
    assert result.exit_code == 1
    assert "RATE_LIMITED" in result.stderr


async def test_a_limit_without_a_time_is_told(called: Called) -> None:
    result = await called("limits", "set", "x", "1", "requests")
    assert result.stderr.startswith("trunkline: VALIDATION: rate_limit.window: ")


async def test_a_budget_is_set_listed_spent_and_deleted(called: Called) -> None:
    options = ("--hard", "--zone", "Europe/Berlin", "--team", "*")
    assert (await called("budgets", "set", "cap", "2.5", "month", *options)).exit_code == 0
    assert _row((await called("budgets")).stdout) == [
        *("cap", "2.5", "CREDIT", "month", "Europe/Berlin", "hard", "team=*"),
    ]
    await called("budgets", "set", "all", "7", "day", "--usd")
    await called("chat", "hi")
    spent = (await called("budgets", "spent")).stdout
    assert _row(spent)[0] == "all"
    assert "USD" in _row(spent)
    assert (await called("budgets", "delete", "cap")).stdout == "cap is gone\n"
    assert (await called("budgets", "delete", "cap")).exit_code == 1


async def test_the_cache_is_warmed_seen_and_purged(called: Called, quiet_place: Path) -> None:
    prompts = quiet_place / "prompts.txt"
    prompts.write_text("one\n\ntwo\n")
    assert (await called("cache", "warm", str(prompts), "--ttl", "1h")).stdout == "2 kept\n"
    assert _row((await called("cache", "stats")).stdout)[:5] == ["sandbox/echo", "0", "2", "0", "2"]
    assert (await called("cache", "purge", "--provider", "sandbox")).stdout == "2 forgotten\n"


def test_an_unknown_unit_is_told(typed: Typed) -> None:
    assert typed("limits", "set", "x", "1", "words").exit_code == 2
