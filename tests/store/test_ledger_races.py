"""Many callers at once: nothing is overspent, nothing happens twice, and nobody's trouble is another's."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable

import pytest

from tests.fixtures.ledger import Till, open_till
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.ids import new_uuid
from trunkline_server.store.accounts import NewAccounts, Owner
from trunkline_server.store.committer import CommitSettings
from trunkline_server.store.database import Database
from trunkline_server.store.ledger import Ledger, LedgerSettings


@pytest.fixture
async def till(database: Database) -> AsyncIterator[Till]:
    async with open_till(database) as opened:
        yield opened


@pytest.fixture
async def others(database: Database) -> AsyncIterator[list[Ledger]]:
    """Two more gateway processes, as far as the database can tell."""
    settings = LedgerSettings(NewAccounts(1000))
    ledgers = [await Ledger.open(database, settings) for _ in range(2)]
    yield ledgers
    for ledger in ledgers:
        await ledger.close()


async def outcome(call: Awaitable[object]) -> str:
    try:
        await call
    except TrunklineError as error:
        return error.reason
    return "OK"


async def turns(number: int) -> None:
    """Lets the event loop go round."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_of_64_calls_exactly_the_10_that_are_paid_for_get_through(till: Till) -> None:
    outcomes = Counter(await asyncio.gather(*(outcome(till.reserve(100)) for _ in range(64))))
    assert outcomes == {"OK": 10, Reason.CREDIT_INSUFFICIENT: 54}


async def test_50_workers_on_three_gateways_never_overspend(till: Till, others: list[Ledger]) -> None:
    tills = [Till(till.database, ledger) for ledger in (till.ledger, *others)]
    for each in tills:
        each.tenant_id, each.owner = till.tenant_id, till.owner
    await till.ledger.grant(till.owner, 99_000, "g1")
    held = 0

    async def work(seed: int) -> None:
        nonlocal held
        rng, mine = random.Random(seed), tills[seed % 3]
        for amount in (rng.randint(1, 300) for _ in range(20)):
            if await outcome(mine.reserve(amount)) == "OK":
                held += amount

    await asyncio.gather(*(work(seed) for seed in range(50)))
    account = await till.account()
    assert (account.held, account.available_nanos) == (held, 100_000 - held)
    assert 0 <= account.available_nanos < 300


async def test_64_first_sights_of_an_owner_grant_once(till: Till, others: list[Ledger]) -> None:
    newcomer = Owner.user(till.tenant_id, "grace")
    ledgers = [till.ledger, *others]
    refs = await asyncio.gather(*(ledgers[n % 3].accounts.account_for(newcomer, "p", "m") for n in range(64)))
    assert len({ref.id for ref in refs}) == 1
    entries = await till.ledger.list_entries(till.tenant_id, refs[0].id)
    assert [(entry.kind, entry.amount) for entry in entries] == [("grant", 1000)]


async def test_a_grant_sent_16_times_at_once_happens_once(till: Till) -> None:
    entries = await asyncio.gather(*(till.ledger.grant(till.owner, 5, "g1") for _ in range(16)))
    assert len({entry.id for entry in entries}) == 1
    assert (await till.account()).balance_nanos == 1005


async def test_one_request_id_for_two_accounts_at_once_is_one_grant(till: Till) -> None:
    owners = [Owner.user(till.tenant_id, f"user{number}") for number in range(8)]
    outcomes = await asyncio.gather(*(outcome(till.ledger.grant(owner, 5, "g1")) for owner in owners))
    assert Counter(outcomes) == {"OK": 1, Reason.IDEMPOTENCY_KEY_REUSED: 7}


async def test_a_reservation_sent_16_times_at_once_is_one_hold(till: Till) -> None:
    reserved = await asyncio.gather(*(till.reserve(600, request_id="r1") for _ in range(16)))
    assert len({each.hold_id for each in reserved}) == 1
    assert (await till.account()).held == 600


async def test_two_refunds_at_once_never_exceed_the_charge(till: Till) -> None:
    reserved = await till.reserve(600)
    await till.ledger.settle(reserved, 600)
    refunds = (till.ledger.refund(till.tenant_id, reserved.hold_id, 400, f"f{number}") for number in range(4))
    assert Counter(await asyncio.gather(*map(outcome, refunds))) == {"OK": 1, Reason.VALIDATION: 3}


async def test_every_way_to_close_a_hold_at_once_closes_it_once(till: Till) -> None:
    reserved = await till.reserve(600)
    await till.lapse(reserved.hold_id)
    closes = [till.ledger.settle(reserved, 100), till.ledger.release(reserved), till.ledger.settle(reserved, 200)]
    settled = await asyncio.gather(*closes, till.ledger.settle(reserved, 300))
    await till.ledger.expire_due()
    assert {(each.state, each.charged) for each in settled} == {("settled", 100)}
    assert (await till.account()).available_nanos == 900


async def test_a_bad_operation_fails_alone(till: Till) -> None:
    await till.ledger.accounts.update(till.tenant_id, (await till.ref()).id, unlimited=True)
    await till.reserve(1)
    calls = [till.reserve(amount) for amount in (10, 2**63 - 5, 2**70, 20)]
    overflow = Reason.BALANCE_OVERFLOW
    assert await asyncio.gather(*map(outcome, calls)) == ["OK", overflow, overflow, "OK"]
    assert (await till.account()).held == 31


async def test_a_caller_who_leaves_while_queued_holds_nothing(till: Till) -> None:
    await till.ref()
    sent = asyncio.create_task(till.reserve(100))
    await turns(3)  # its batch is under way: the next ones wait for it
    queued = [asyncio.create_task(till.reserve(50)) for _ in range(8)]
    await turns(1)
    for call in queued[1::2]:
        call.cancel()
    done = await asyncio.gather(sent, *queued, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in done] == [False, *[False, True] * 4]
    await till.ledger.close()
    assert (await till.account()).held == 100 + 4 * 50
    assert await till.database.fetchval("SELECT count(*) FROM hold") == 5  # the others were never sent


async def test_a_caller_who_leaves_at_any_moment_holds_nothing(till: Till) -> None:
    await till.ref()
    for number in range(40):
        call = asyncio.create_task(till.reserve(100))
        await turns(number)
        call.cancel()
        if isinstance(kept := (await asyncio.gather(call, return_exceptions=True))[0], BaseException):
            assert isinstance(kept, asyncio.CancelledError)
        else:
            await till.ledger.release(kept)
    await till.ledger.close()
    assert (await till.account()).held == 0


async def test_a_settlement_is_applied_though_its_caller_left(till: Till) -> None:
    reserved = await till.reserve(600)
    call = asyncio.create_task(till.ledger.settle(reserved, 250))
    await asyncio.sleep(0)
    call.cancel()
    await till.ledger.close()
    assert (await till.ledger.get_hold(till.tenant_id, reserved.hold_id)).charged == 250


async def test_a_locked_account_delays_nobody_else(database: Database, till: Till) -> None:
    stuck, free = await till.ref(), Owner.user(till.tenant_id, "grace")
    other = await till.ledger.accounts.account_for(free, "p", "m")
    async with database.transaction() as connection:
        await connection.fetch("SELECT 1 FROM account WHERE id = $1 FOR UPDATE", stuck.id)
        waiting = [asyncio.create_task(till.reserve(10))]
        loop, slowest_s = asyncio.get_running_loop(), 0.0
        for number in range(30):
            waiting += [asyncio.create_task(till.reserve(10))] if number % 10 == 5 else []
            before = loop.time()
            await till.ledger.reserve(new_uuid(), other, 1, 120, provider="p", model="m", price_version="v")
            slowest_s = max(slowest_s, loop.time() - before)
        assert not any(call.done() for call in waiting)
        assert slowest_s < 1.0
    assert [reserved.state for reserved in await asyncio.gather(*waiting)] == ["held"] * 4


async def test_a_full_queue_refuses_holds_but_never_a_settlement(database: Database) -> None:
    async with open_till(database, commit=CommitSettings(waiting_max=4)) as till:
        reserved = await till.reserve(600)
        async with database.transaction() as connection:
            await connection.fetch("SELECT 1 FROM account FOR UPDATE")
            under_way = asyncio.create_task(till.ledger.settle(reserved, 1))
            await turns(2)
            queued = asyncio.gather(*(till.ledger.settle(reserved, 2) for _ in range(8)))
            await turns(1)
            assert await outcome(till.reserve(1)) == Reason.STORE_UNAVAILABLE
        assert {each.charged for each in (await under_way, *await queued)} == {1}


async def test_what_cannot_be_finished_at_the_end_is_told(database: Database) -> None:
    async with open_till(database, commit=CommitSettings(drain_s=0.05)) as till:
        await till.ref()
        async with database.transaction() as connection:
            await connection.fetch("SELECT 1 FROM account FOR UPDATE")
            calls = [asyncio.create_task(outcome(till.reserve(1))) for _ in range(3)]
            await turns(2)
            await till.ledger.close()
            assert await asyncio.gather(*calls) == [Reason.STORE_UNAVAILABLE] * 3
            assert await outcome(till.reserve(1)) == Reason.STORE_UNAVAILABLE
