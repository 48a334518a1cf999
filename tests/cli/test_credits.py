from __future__ import annotations

import asyncio
import json

import asyncpg
import pytest

from tests.cli.conftest import Called, Typed


def _fields(text: str) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition("  ") for line in text.splitlines())}


async def test_a_grant_is_exact(called: Called) -> None:
    granted = _fields((await called("credits", "grant", "0.123456789", "--user", "ann")).stdout)
    assert granted["balance"] == granted["available"] == "100.123456789"
    assert granted == _fields((await called("credits", "balance", "--user", "ann")).stdout)
    assert granted["user"] == "ann"


async def test_a_request_id_grants_once(called: Called) -> None:
    for _ in range(2):
        granted = await called("credits", "grant", "5", "--user", "bob", "--request-id", "gift-1")
    assert _fields(granted.stdout)["balance"] == "105"
    for _ in range(2):
        granted = await called("credits", "grant", "5", "--user", "bob")
    assert _fields(granted.stdout)["balance"] == "115"


async def test_credits_for_one_provider(called: Called) -> None:
    granted = _fields((await called("credits", "grant", "5", "--user", "eve", "--provider", "sandbox")).stdout)
    assert (granted["provider"], granted["balance"]) == ("sandbox", "5")
    assert _fields((await called("credits", "balance", "--account", granted["account"])).stdout) == granted


async def test_the_callers_own_account(called: Called) -> None:
    await called("chat", "hi")
    own = _fields((await called("credits", "balance")).stdout)
    assert own["available"] == "unlimited"
    assert "user" not in own


async def test_entries_are_newest_first(called: Called) -> None:
    await called("credits", "grant", "7", "--user", "ann", "--reason", "a gift")
    await called("chat", "--user", "ann", "hi")
    title, charge, gift, first = (await called("credits", "entries", "--user", "ann")).stdout.splitlines()
    assert title.split() == ["WHEN", "CREDITS", "KIND", "SUBJECT", "REASON"]
    assert charge.split()[2:4] == ["-0.000003", "charge"]
    assert charge.split()[4].startswith("cmpl_")
    assert gift.endswith("a gift")
    assert first.split()[2:4] == ["100", "grant"]


async def test_json(called: Called) -> None:
    account = json.loads((await called("credits", "grant", "1.5", "--user", "ann", "--json")).stdout)
    assert account["balance"] == {"unit": "CREDIT", "nanos": "101500000000"}
    assert json.loads((await called("credits", "balance", "--user", "ann", "--json")).stdout) == account
    lines = (await called("credits", "entries", "--user", "ann", "--json", "--limit", "1")).stdout.splitlines()
    assert [json.loads(line)["amount"]["nanos"] for line in lines] == ["1500000000"]


@pytest.mark.parametrize("amount", ["1.0000000001", "1e3", "1,5", "", "nan", "99999999999"])
def test_an_amount_that_is_none_is_told(typed: Typed, amount: str) -> None:
    result = typed("credits", "grant", amount)
    assert result.exit_code == 2
    assert "Invalid value for 'AMOUNT'" in result.stderr


async def test_a_correction_and_a_refund(called: Called) -> None:
    bill = await called("chat", "--user", "ann", "hi")
    completion = next(word for word in bill.stderr.replace(",", "").split() if word.startswith("cmpl_"))
    refunded = await called("credits", "refund", completion, "--reason", "sorry")
    assert refunded.stdout.splitlines()[1].split()[2:5] == ["0.000003", "refund", completion]
    again = await called("credits", "refund", completion)
    assert again.stderr.startswith("trunkline: VALIDATION: amount: ")
    adjusted = await called("credits", "adjust", "-1.5", "--user", "ann", "--reason", "charge-back")
    assert _fields(adjusted.stdout)["balance"] == "98.5"
    assert (await called("credits", "adjust", "1", "--user", "ann")).exit_code == 2


async def test_what_an_account_may_do(called: Called) -> None:
    await called("credits", "grant", "5", "--user", "ann", "--until", "2100-01-01")
    changed = _fields((await called("credits", "update", "--user", "ann", "--overdraft", "7", "--low", "200")).stdout)
    assert (changed["available"], changed["state"]) == ("112", "low")
    assert changed["expiring"] == "2100-01-01 00:00:00Z"
    assert _fields((await called("credits", "suspend", "--user", "ann")).stdout)["state"] == "suspended"
    assert (await called("chat", "--user", "ann", "hi")).stderr.startswith("trunkline: ACCOUNT_SUSPENDED: ")
    assert _fields((await called("credits", "resume", "--user", "ann")).stdout)["state"] == "low"
    listed = (await called("credits", "accounts", "--user", "ann")).stdout.splitlines()
    assert listed[1].split()[1:3] == ["ann", "105"]


async def test_the_audit_reads_the_database_itself(called: Called, typed: Typed, postgres_url: str) -> None:
    await called("chat", "--user", "ann", "hi")
    there = {"TRUNKLINE_DATABASE_URL": postgres_url}
    good = await asyncio.to_thread(typed, "credits", "audit", given=there)
    assert (good.exit_code, good.stdout) == (0, "")
    assert good.stderr.startswith("the books add up (")
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("UPDATE account SET held = held + 1 WHERE owner_type = 'user'")
    await connection.close()
    bad = await asyncio.to_thread(typed, "credits", "audit", "--quick", "--json", given=there)
    assert bad.exit_code == 1
    assert [finding["rule"] for finding in json.loads(bad.stdout)["findings"]] == ["held"]


async def test_an_amount_that_cannot_be_granted(called: Called) -> None:
    result = await called("credits", "grant", "0", "--user", "ann")
    assert result.exit_code == 1
    assert result.stderr.startswith("trunkline: VALIDATION: amount.nanos: ")
