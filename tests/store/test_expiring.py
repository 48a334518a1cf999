"""Credits with an end: spent first, and what is left of them is moved out once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.fixtures.ledger import Till, open_till
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.store.database import Database
from trunkline_server.store.upkeep import Upkeep

SOON = datetime.now(UTC) + timedelta(days=1)
LATER = SOON + timedelta(days=1)


class Purse(Till):
    """A till whose user has nothing but what is granted here."""

    async def give(self, amount: int, until: datetime | None, name: str = "") -> None:
        await self.ledger.grant(self.owner, amount, name or f"{amount}-{until}", expires_at=until)

    async def pass_by(self, until: datetime) -> None:
        """Moves an end of credits into the past, as if the time until then had gone by."""
        past = "UPDATE credit SET expires_at = clock_timestamp() - interval '1 s' WHERE expires_at = $1"
        await self.database.execute(past, until)
        await self.database.execute(
            "UPDATE account SET lapse_at = (SELECT min(expires_at) FROM credit WHERE account_id = id AND remaining > 0)"
        )

    async def spend(self, amount: int) -> None:
        await self.ledger.settle(await self.reserve(amount), amount)

    async def remaining(self) -> list[int]:
        rows = await self.database.fetch("SELECT remaining FROM credit ORDER BY expires_at, transfer_id")
        return [row[0] for row in rows]

    async def balance(self) -> int:
        return (await self.account()).balance_nanos

    async def expired(self) -> list[int]:
        rows = await self.database.fetch("SELECT -amount FROM transfer WHERE kind = 'expire' ORDER BY id")
        return [row[0] for row in rows]

    async def lapse_credits(self) -> int:
        return await Upkeep(self.database, timedelta(days=30)).lapse_credits()


@pytest.fixture
async def purse(database: Database) -> AsyncIterator[Purse]:
    async with open_till(database, grant=0) as till:
        yield Purse(till.database, till.ledger)


async def test_what_ends_first_is_spent_first(purse: Purse) -> None:
    await purse.give(100, LATER)
    await purse.give(50, SOON)
    await purse.give(10, None)
    await purse.spend(60)
    assert await purse.remaining() == [0, 90]
    await purse.spend(95)
    assert await purse.remaining() == [0, 0]
    assert await purse.balance() == 5
    assert (await purse.account()).lapse_at is None


async def test_what_is_left_at_the_end_is_moved_out_once(purse: Purse) -> None:
    await purse.give(100, SOON)
    await purse.give(7, None)
    await purse.spend(30)
    await purse.pass_by(SOON)
    assert await asyncio.gather(*(purse.lapse_credits() for _ in range(5))) != [0, 0, 0, 0, 0]
    assert await purse.lapse_credits() == 0
    assert (await purse.expired(), await purse.balance()) == ([70], 7)


async def test_no_call_starts_on_credits_that_are_over(purse: Purse) -> None:
    await purse.give(100, SOON)
    await purse.pass_by(SOON)
    with pytest.raises(TrunklineError) as refused:
        await purse.reserve(1)
    assert refused.value.reason is Reason.CREDIT_INSUFFICIENT
    assert (await purse.expired(), await purse.balance()) == ([100], 0)


async def test_what_a_running_call_holds_stays_until_it_is_over(purse: Purse) -> None:
    await purse.give(100, SOON)
    hold = await purse.reserve(60)
    await purse.pass_by(SOON)
    assert await purse.lapse_credits() == 1
    assert (await purse.expired(), await purse.balance()) == ([40], 60)
    assert await purse.lapse_credits() == 0
    await purse.ledger.settle(hold, 45)
    assert await purse.lapse_credits() == 1
    assert (await purse.expired(), await purse.balance()) == ([40, 15], 0)


async def test_a_debt_is_paid_first_and_does_not_come_back(purse: Purse) -> None:
    await purse.ledger.adjust(purse.tenant_id, (await purse.ref()).id, -30, "debt", "a mistake")
    await purse.give(100, SOON)
    assert await purse.remaining() == [70]
    await purse.pass_by(SOON)
    await purse.lapse_credits()
    assert (await purse.expired(), await purse.balance()) == ([70], 0)


async def test_a_refund_of_credits_that_ended_has_no_end(purse: Purse) -> None:
    await purse.give(100, SOON)
    hold = await purse.reserve(100)
    await purse.ledger.settle(hold, 100)
    await purse.pass_by(SOON)
    await purse.ledger.refund(purse.tenant_id, hold.hold_id, None, "back")
    await purse.lapse_credits()
    assert (await purse.expired(), await purse.balance()) == ([], 100)


async def test_an_end_in_the_past_or_another_end_is_refused(purse: Purse) -> None:
    with pytest.raises(TrunklineError) as refused:
        await purse.give(1, datetime.now(UTC) - timedelta(seconds=1))
    assert refused.value.violations[0].field == "expire_time"
    await purse.give(5, SOON, "gift")
    await purse.give(5, SOON, "gift")
    for until in (LATER, None):
        with pytest.raises(TrunklineError) as refused:
            await purse.give(5, until, "gift")
        assert refused.value.reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert await purse.balance() == 5


async def test_a_repeated_grant_is_answered_after_its_end_too(purse: Purse) -> None:
    until = datetime.now(UTC) + timedelta(milliseconds=200)
    await purse.give(5, until, "gift")
    await purse.database.fetchval("SELECT pg_sleep_until($1)", until)
    await purse.give(5, until, "gift")
