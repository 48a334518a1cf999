"""The verbs of the ledger, one caller at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.fixtures.ledger import Till, open_till
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.ids import new_uuid
from trunkline_server.core.money import INT64_MAX
from trunkline_server.store.accounts import AccountRef
from trunkline_server.store.database import Database
from trunkline_server.store.lane import Op


@pytest.fixture
async def till(database: Database) -> AsyncIterator[Till]:
    async with open_till(database) as opened:
        yield opened


def refused(reason: Reason) -> pytest.RaisesExc[TrunklineError]:
    return pytest.RaisesExc(TrunklineError, check=lambda error: error.reason is reason)


async def test_a_hold_takes_what_is_available_and_a_settlement_gives_the_rest_back(till: Till) -> None:
    reserved = await till.reserve(600)
    assert (reserved.state, reserved.amount, reserved.available) == ("held", 600, 400)
    settled = await till.ledger.settle(reserved, 250)
    assert (settled.state, settled.charged, settled.balance, settled.overage) == ("settled", 250, 750, 0)
    account = await till.account()
    assert (account.balance_nanos, account.held, account.available_nanos) == (750, 0, 750)


async def test_more_than_is_available_is_refused_with_the_numbers(till: Till) -> None:
    await till.reserve(600)
    with refused(Reason.CREDIT_INSUFFICIENT) as caught:
        await till.reserve(401)
    assert caught.value.retry_after_s is None
    assert caught.value.metadata == {"neededNanos": "401", "availableNanos": "400"}
    assert caught.value.quota[0].description == "needed 0.000000401, available 0.0000004"
    assert (await till.account()).held == 600


async def test_what_costs_nothing_is_allowed_with_nothing_left(till: Till) -> None:
    await till.ledger.settle(await till.reserve(1000), 1000)
    free = await till.reserve(0)
    assert (await till.ledger.settle(free, 0)).state == "settled"
    entries = await till.ledger.list_entries(till.tenant_id, free.account_id)
    assert [entry.kind for entry in entries] == ["settle", "grant"]


async def test_a_second_settlement_returns_the_first(till: Till) -> None:
    reserved = await till.reserve(600)
    first = await till.ledger.settle(reserved, 250)
    assert await till.ledger.settle(reserved, 599) == first
    assert (await till.ledger.release(reserved)) == first
    assert (await till.account()).balance_nanos == 750


async def test_a_release_frees_everything_once(till: Till) -> None:
    reserved = await till.reserve(600)
    for _ in range(2):
        released = await till.ledger.release(reserved)
        assert (released.state, released.charged) == ("released", 0)
    assert (await till.ledger.settle(reserved, 100)).state == "released"
    account = await till.account()
    assert (account.held, account.balance_nanos) == (0, 1000)


async def test_overage_is_posted_below_zero_and_stops_further_holds(till: Till) -> None:
    reserved = await till.reserve(1000)
    settled = await till.ledger.settle(reserved, 1500)
    assert (settled.overage, settled.balance) == (500, -500)
    assert (await till.account()).overrun == 500
    for amount in (0, 1):
        with refused(Reason.CREDIT_INSUFFICIENT):
            await till.reserve(amount)
    entries = await till.ledger.list_entries(till.tenant_id, reserved.account_id)
    assert [(entry.kind, entry.amount, entry.balance_after) for entry in entries] == [
        ("overage", -500, -500),
        ("settle", -1000, 0),
        ("grant", 1000, 1000),
    ]
    await till.ledger.grant(till.owner, 600, "top-up")
    account = await till.account()
    assert (account.overrun, account.available_nanos) == (0, 100)


async def test_holds_expire_by_the_clock_of_the_database(till: Till) -> None:
    running, over = await till.reserve(300), await till.reserve(400)
    assert await till.ledger.expire_due() == 0
    await till.lapse(over.hold_id)
    assert await till.ledger.expire_due() == 1
    assert await till.ledger.expire_due() == 0
    assert (await till.account()).held == 300
    assert (await till.ledger.release(over)).state == "expired"
    assert (await till.ledger.get_hold(till.tenant_id, running.hold_id)).state == "held"


async def test_a_hold_that_was_kept_alive_meanwhile_does_not_expire(till: Till) -> None:
    reserved = await till.reserve(300)
    found_due = Op("expired", reserved.hold_id, reserved.account_id, 0, 0)
    assert (await till.ledger._committer.put(found_due))["verdict"] == "held"
    assert (await till.account()).held == 300


async def test_a_settlement_before_the_sweeper_comes_is_in_time(till: Till) -> None:
    reserved = await till.reserve(300)
    await till.lapse(reserved.hold_id)
    assert (await till.ledger.settle(reserved, 200)).state == "settled"
    assert await till.ledger.expire_due() == 0


async def test_a_settlement_after_expiry_is_posted_late_and_once(till: Till) -> None:
    reserved = await till.reserve(900)
    await till.lapse(reserved.hold_id)
    await till.ledger.expire_due()
    await till.reserve(1000)  # the money is promised to somebody else by now
    usage = till.usage(reserved.hold_id, charge_nanos=700)
    for _ in range(2):
        settled = await till.ledger.settle(reserved, 700, usage)
        assert (settled.state, settled.charged, settled.late, settled.balance) == ("expired", 700, True, 300)
    newest = (await till.ledger.list_entries(till.tenant_id, reserved.account_id))[0]
    assert (newest.kind, newest.amount, newest.hold_id) == ("late_settle", -700, reserved.hold_id)
    assert (await till.account()).available_nanos == -700
    assert await till.database.fetchval("SELECT count(*) FROM usage") == 1


async def test_a_hold_can_be_extended_and_kept_alive(till: Till) -> None:
    reserved = await till.reserve(300)
    await till.lapse(reserved.hold_id)
    extended = await till.ledger.extend(reserved, 200, ttl_s=60)
    assert (extended.amount, extended.available) == (500, 500)
    assert await till.ledger.extend(reserved, 200) == extended  # a repeated call
    assert await till.ledger.expire_due() == 0
    with refused(Reason.CREDIT_INSUFFICIENT):
        await till.ledger.extend(extended, 501)
    assert (await till.ledger.settle(extended, 450)).overage == 0
    with refused(Reason.RESERVATION_CLOSED):
        await till.ledger.extend(extended, 1)


async def test_a_hold_remembers_the_price_it_was_made_with(till: Till) -> None:
    reserved = await till.reserve(300)
    hold = await till.ledger.get_hold(till.tenant_id, reserved.hold_id)
    assert (hold.price_version, hold.provider, hold.model, hold.charged) == ("2026-01", "sandbox", "echo", None)
    await till.ledger.settle(hold, 10)
    assert (await till.ledger.get_hold(till.tenant_id, reserved.hold_id)).charged == 10


async def test_a_repeated_reservation_is_the_first_one(till: Till) -> None:
    first = await till.reserve(600, request_id="r1")
    again = await till.reserve(600, request_id="r1")
    assert (again.hold_id, again.amount) == (first.hold_id, 600)
    assert (await till.reserve(600, hold_id=first.hold_id, request_id="r1")).hold_id == first.hold_id
    with refused(Reason.IDEMPOTENCY_KEY_REUSED):
        await till.reserve(601, request_id="r1")
    assert (await till.account()).held == 600
    await till.ledger.settle(first, 5)
    assert (await till.reserve(600, request_id="r1")).state == "settled"


async def test_a_suspended_account_makes_no_new_promises_but_keeps_old_ones(till: Till) -> None:
    reserved = await till.reserve(600)
    await till.ledger.accounts.update(till.tenant_id, reserved.account_id, suspended=True)
    with refused(Reason.ACCOUNT_SUSPENDED):
        await till.reserve(1)
    assert (await till.ledger.settle(reserved, 600)).charged == 600


async def test_an_overdraft_is_spent_to_its_end(till: Till) -> None:
    await till.ledger.accounts.update(till.tenant_id, (await till.ref()).id, overdraft_limit=500)
    reserved = await till.reserve(1500)
    with refused(Reason.CREDIT_INSUFFICIENT):
        await till.reserve(1)
    assert (await till.ledger.settle(reserved, 1500)).balance == -500
    assert (await till.account()).overrun == 0


async def test_an_unlimited_account_is_never_refused_and_always_metered(till: Till) -> None:
    account_id = (await till.ref()).id
    await till.ledger.accounts.update(till.tenant_id, account_id, unlimited=True)
    assert (await till.ref()).unlimited
    reserved = await till.reserve(10**15)
    assert (await till.ledger.settle(reserved, 10**12)).balance == 1000 - 10**12
    assert (await till.ledger.list_entries(till.tenant_id, account_id))[0].amount == -(10**12)
    limited = await till.ledger.accounts.update(till.tenant_id, account_id, unlimited=False)
    assert limited.overrun == 10**12 - 1000


async def test_a_grant_happens_once(till: Till) -> None:
    first = await till.ledger.grant(till.owner, 50, "g1", "welcome")
    assert await till.ledger.grant(till.owner, 50, "g1", "welcome") == first
    with refused(Reason.IDEMPOTENCY_KEY_REUSED):
        await till.ledger.grant(till.owner, 51, "g1")
    with refused(Reason.IDEMPOTENCY_KEY_REUSED):
        await till.ledger.grant(till.owner, 50, "g1", provider="sandbox")
    assert (await till.account()).balance_nanos == 1050


@pytest.mark.parametrize("amount", [0, -1, INT64_MAX + 1])
async def test_a_grant_must_be_an_amount(till: Till, amount: int) -> None:
    with refused(Reason.VALIDATION):
        await till.ledger.grant(till.owner, amount, "g1")


async def test_a_balance_stays_within_64_bits(till: Till) -> None:
    with refused(Reason.BALANCE_OVERFLOW):
        await till.ledger.grant(till.owner, INT64_MAX - 999, "g1")
    await till.ledger.grant(till.owner, INT64_MAX - 1000, "g2")
    assert (await till.account()).balance_nanos == INT64_MAX
    await till.ledger.settle(await till.reserve(1), 1)
    with refused(Reason.CREDIT_INSUFFICIENT):
        await till.reserve(INT64_MAX)


async def test_refunds_never_exceed_the_charge(till: Till) -> None:
    reserved = await till.reserve(600)
    await till.ledger.settle(reserved, 500)
    first = await till.ledger.refund(till.tenant_id, reserved.hold_id, 300, "f1")
    assert await till.ledger.refund(till.tenant_id, reserved.hold_id, 300, "f1") == first
    with refused(Reason.VALIDATION):
        await till.ledger.refund(till.tenant_id, reserved.hold_id, 201, "f2")
    await till.ledger.refund(till.tenant_id, reserved.hold_id, 200, "f3")
    assert (await till.account()).balance_nanos == 1000


async def test_an_adjustment_may_go_either_way_and_past_the_limit(till: Till) -> None:
    account_id = (await till.ref()).id
    await till.ledger.adjust(till.tenant_id, account_id, 5, "a1", "rounding")
    entry = await till.ledger.adjust(till.tenant_id, account_id, -2000, "a2", "fraud")
    assert (entry.balance_after, entry.reason) == (-995, "fraud")
    for amount, request_id in ((0, "a3"), (1, "")):
        with refused(Reason.VALIDATION):
            await till.ledger.adjust(till.tenant_id, account_id, amount, request_id, "")


async def test_another_tenant_sees_nothing(till: Till) -> None:
    reserved, stranger = await till.reserve(600), new_uuid()
    with refused(Reason.RESOURCE_NOT_FOUND):
        await till.ledger.get_hold(stranger, reserved.hold_id)
    with refused(Reason.RESOURCE_NOT_FOUND):
        await till.ledger.adjust(stranger, reserved.account_id, 1, "a1", "")
    assert await till.ledger.list_entries(stranger, reserved.account_id) == []


async def test_what_is_not_there_is_not_found(till: Till) -> None:
    reserved = await till.reserve(1)
    for hold_id, account_id in ((new_uuid(), reserved.account_id), (reserved.hold_id, new_uuid())):
        unknown = type(reserved)(hold_id, account_id, 1, "held", 0)
        for call in (till.ledger.settle(unknown, 1), till.ledger.release(unknown), till.ledger.extend(unknown, 1)):
            with refused(Reason.RESOURCE_NOT_FOUND):
                await call


async def test_an_account_that_is_not_there_is_not_found(till: Till) -> None:
    ref = AccountRef(new_uuid(), till.tenant_id, unlimited=False, low_balance_nanos=0)
    with refused(Reason.RESOURCE_NOT_FOUND):
        await till.ledger.reserve(new_uuid(), ref, 0, 60, provider="p", model="m", price_version="v")


async def test_entries_come_in_pages_newest_first(till: Till) -> None:
    account_id = (await till.ref()).id
    for number in range(5):
        await till.ledger.grant(till.owner, 1 + number, f"g{number}")
    seen, before = [], None
    while page := await till.ledger.list_entries(till.tenant_id, account_id, before, limit=2):
        seen += [entry.amount for entry in page]
        before = page[-1].id
    assert seen == [5, 4, 3, 2, 1, 1000]


@pytest.mark.parametrize("change", ["UPDATE transfer SET amount = 1", "DELETE FROM transfer", "TRUNCATE transfer"])
async def test_a_transfer_is_never_changed(till: Till, change: str) -> None:
    await till.ref()
    with pytest.raises(asyncpg.RaiseError):
        await till.database.execute(change)


@pytest.mark.parametrize(
    ("damage", "rules"),
    [
        ("UPDATE account SET posted_credit = posted_credit + 1", {"posted", "running", "zero"}),
        ("UPDATE account SET held = held + 1", {"held"}),
        ("UPDATE hold SET charged = 1 WHERE state = 'settled'", {"charge"}),
        ("DELETE FROM hold WHERE state = 'settled'", {"charge"}),
        ("DELETE FROM account", {"orphan", "zero"}),
    ],
)
async def test_the_audit_finds_what_does_not_add_up(database: Database, damage: str, rules: set[str]) -> None:
    async with open_till(database, audited=False) as till:
        await till.ledger.settle(await till.reserve(10), 7)
        await till.reserve(10)
        await database.execute(damage)
        assert {finding.rule for finding in await till.ledger.audit()} == rules
