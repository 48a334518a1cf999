"""Reports of usage, and prices that are put right for the past."""

from __future__ import annotations

import asyncio

import pytest
from click.testing import Result

from tests.cli.conftest import Called, Typed

FROM = "2020-01-01"


@pytest.fixture
def reprice(typed: Typed, postgres_url: str) -> Called:
    async def run(*more: str) -> Result:
        there = {"TRUNKLINE_DATABASE_URL": postgres_url}
        return await asyncio.to_thread(typed, "prices", "reprice", "--from", FROM, *more, given=there)

    return run


async def balance(called: Called, user: str) -> str:
    told = (await called("credits", "balance", "--user", user)).stdout
    return next(line.split()[1] for line in told.splitlines() if line.startswith("balance"))


async def test_a_report_by_user_and_model(called: Called) -> None:
    for user in ("ann", "ann", "bob"):
        await called("chat", "--user", user, "hi")
    title, ann, bob = (await called("usage", "report", "--by", "user", "--by", "model")).stdout.splitlines()
    assert title.split() == ["OF", "CALLS", "USD", "CREDITS"]
    assert ann.split() == ["ann", "sandbox/echo", "2", "0.000006", "0.000006"]
    assert bob.split() == ["bob", "sandbox/echo", "1", "0.000003", "0.000003"]
    assert (await called("usage", "report", "--user", "nobody")).stdout.splitlines()[1:] == []


async def test_the_past_is_charged_by_another_price_once(called: Called, reprice: Called) -> None:
    await called("chat", "--user", "ann", "hi")
    at = ("--from", FROM, "--source", "a letter")
    await called("prices", "set", "sandbox/echo", "--input", "10", "--output", "20", *at)
    would = await reprice("--dry-run")
    assert would.stdout.split()[-4:] == ["0.000027", "USD", "0.000027", "credits"]
    assert await balance(called, "ann") == "99.999997"
    assert (await reprice()).stdout == would.stdout
    assert await balance(called, "ann") == "99.99997"
    again = await reprice()
    assert (again.stdout, again.stderr) == ("", "every call has the price of its time\n")
    newest = (await called("credits", "entries", "--user", "ann")).stdout.splitlines()[1]
    assert newest.split()[2:4] == ["-0.000027", "repricing"]
    report = (await called("usage", "report")).stdout.splitlines()[1]
    assert report.split() == ["sandbox/echo", "1", "0.00003", "0.00003"]


async def test_what_was_too_dear_is_given_back_and_what_was_refunded_is_not(called: Called, reprice: Called) -> None:
    cheap, refunded = [await called("chat", "--user", user, "hi") for user in ("ann", "bob")]
    assert cheap.exit_code == 0
    completion = next(word for word in refunded.stderr.replace(",", "").split() if word.startswith("cmpl_"))
    await called("credits", "refund", completion)
    await called("prices", "set", "sandbox/echo", "--input", "0", "--output", "0", "--from", FROM)
    assert (await reprice()).exit_code == 0
    assert [await balance(called, user) for user in ("ann", "bob")] == ["100", "100"]
    dear = ("--input", "10", "--output", "20", "--from", FROM, "--source", "again")
    await called("prices", "set", "sandbox/echo", *dear)
    await reprice()
    assert await balance(called, "ann") == "99.99997"
    assert (await reprice("--dry-run")).stdout == ""
