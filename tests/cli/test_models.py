"""`models` and `prices` against a real gateway: what operators say about models, in words."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Called


async def test_models_alone_lists(called: Called) -> None:
    listed = await called("models", "--provider", "sandbox", "--limit", "3", "--json")
    assert [json.loads(line)["name"] for line in listed.stdout.splitlines()] == [
        "sandbox/broken",
        "sandbox/count",
        "sandbox/cut",
    ]
    assert (await called("models", "list", "--provider", "sandbox", "--limit", "3", "--json")).stdout == listed.stdout
    assert "alias" in (await called("models", "--help")).stdout


async def test_sync_says_what_is_new(called: Called) -> None:
    first = await called("models", "sync", "sandbox")
    assert (first.exit_code, first.stdout.splitlines()[0].split()) == (
        0,
        ["PROVIDER", "RESULT", "MODELS", "ADDED", "CHANGED", "GONE", "PRICES"],
    )
    assert "sandbox" in first.stdout
    assert "echo" in first.stdout
    assert "echo" not in (await called("models", "sync")).stdout
    refused = await called("models", "sync", "nobody")
    assert refused.exit_code == 1
    assert "RESOURCE_NOT_FOUND" in refused.stderr


async def test_the_life_of_an_alias(called: Called) -> None:
    assert (await called("models", "alias", "fast", "openai/gpt-4o", "sandbox/echo")).stdout == (
        "fast means openai/gpt-4o or sandbox/echo\n"
    )
    assert (await called("chat", "--model", "fast", "hi")).stdout == "hi\n"
    listed = await called("models", "aliases", "--json")
    assert json.loads(listed.stdout) == {"alias": "fast", "models": ["openai/gpt-4o", "sandbox/echo"]}
    assert (await called("models", "alias", "fast", "--delete")).stdout == "fast is gone\n"
    assert (await called("models", "aliases", "--json")).stdout == ""


@pytest.mark.parametrize("arguments", [("fast",), ("fast", "sandbox/echo", "--delete")])
async def test_an_alias_is_set_or_deleted(called: Called, arguments: tuple[str, ...]) -> None:
    assert (await called("models", "alias", *arguments)).exit_code == 2


async def test_a_price_is_set_and_listed(called: Called) -> None:
    given = ("--input", "2.5", "--output", "10", "--unit", "cached_input=1.25", "--source", "a letter")
    told = await called("prices", "set", "sandbox/echo", *given)
    assert told.stdout.startswith("sandbox/echo costs input 2.5, output 10, cached_input 1.25 from 20")
    later = await called("prices", "set", "sandbox/echo", "--input", "3", "--output", "3", "--from", "2999-01-01")
    assert later.stdout == "sandbox/echo costs input 3, output 3 from 2999-01-01 00:00:00Z on\n"
    rows = [json.loads(line) for line in (await called("prices", "list", "--json")).stdout.splitlines()]
    assert [row["source"] for row in rows if row["model"] == "echo"][:2] == ["built-in", "a letter"]
    assert "a letter" in (await called("prices", "list", "--provider", "sandbox")).stdout


async def test_a_price_that_is_none(called: Called) -> None:
    assert (await called("prices", "set", "sandbox/echo", "--input", "much")).exit_code == 2
    nothing = await called("prices", "set", "sandbox/echo")
    nameless = await called("prices", "set", "echo", "--input", "1")
    assert (nothing.exit_code, "give --input" in nothing.stderr) == (2, True)
    assert (nameless.exit_code, "MODEL is provider/model, not 'echo'" in nameless.stderr) == (2, True)
