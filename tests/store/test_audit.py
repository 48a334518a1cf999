"""Audits that begin where the last good one ended, and what may be forgotten meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.fixtures.ledger import Till, open_till
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.store.database import Database
from trunkline_server.store.holds import moved
from trunkline_server.store.reconciliation import Audit, examine, examine_if_due
from trunkline_server.store.upkeep import Upkeep

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def till(database: Database) -> AsyncIterator[Till]:
    async with open_till(database, audited=False) as opened:
        yield opened


async def spend(till: Till, charge: int) -> None:
    hold = await till.reserve(charge)
    await till.ledger.settle(hold, charge, till.usage(hold.hold_id, charge_nanos=charge))


async def quick(till: Till) -> Audit:
    return await examine(till.database, whole=False)


def rules(audit: Audit) -> set[str]:
    return {finding.rule for finding in audit.findings}


async def test_a_quick_audit_reads_only_what_is_new(till: Till) -> None:
    for _ in range(3):
        await spend(till, 5)
    first = await quick(till)
    await spend(till, 5)
    second, third = await quick(till), await quick(till)
    assert [first.transfers, second.transfers, third.transfers] == [4, 1, 0]
    assert [first.accounts, second.accounts, third.accounts] == [1, 1, 0]
    assert (await examine(till.database, whole=True)).transfers == 5


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE account SET posted_debit = posted_debit + 1", {"posted", "running", "zero"}),
        ("UPDATE account SET posted_debit = posted_debit + 1, posted_credit = posted_credit + 1", {"posted"}),
        ("UPDATE hold SET charged = charged + 1", {"charge", "usage"}),
        ("UPDATE usage SET charge_nanos = charge_nanos + 1", {"usage"}),
        ("UPDATE account SET lapse_at = now()", {"credit"}),
    ],
)
async def test_a_quick_audit_finds_what_went_wrong_since_and_finds_it_again(
    till: Till, damage: str, found: set[str]
) -> None:
    await spend(till, 5)
    assert (await quick(till)).findings == []
    await spend(till, 6)
    await till.database.execute(damage)
    assert rules(await quick(till)) == found
    assert rules(await quick(till)) == found


async def test_damage_to_what_was_found_right_before(till: Till) -> None:
    await spend(till, 5)
    await quick(till)
    await till.database.execute("UPDATE account SET posted_credit = posted_credit + 1")
    assert rules(await quick(till)) == {"posted", "zero"}
    assert rules(await examine(till.database, whole=True)) == {"posted", "running", "zero"}


async def test_a_hold_that_outlived_its_time_is_found(till: Till) -> None:
    hold = await till.reserve(5)
    late = "UPDATE hold SET expires_at = clock_timestamp() - interval '31 s' WHERE id = $1"
    await till.database.execute(late, hold.hold_id)
    (finding,) = (await quick(till)).findings
    assert (finding.rule, finding.subject) == ("overdue", str(hold.hold_id))
    await till.ledger.expire_due()
    assert (await quick(till)).findings == []


async def test_a_call_that_moved_to_another_account_is_right(till: Till) -> None:
    hold = await till.reserve(5)
    later = await till.reserve(7, moved(hold.hold_id))
    await till.ledger.release(hold)
    await till.ledger.settle(later, 6, till.usage(hold.hold_id, charge_nanos=6))
    assert (await examine(till.database, whole=True)).findings == []


async def test_audits_at_the_same_time_do_not_harm_each_other(till: Till) -> None:
    await spend(till, 5)
    audits = await asyncio.gather(*(examine(till.database, whole=bool(n % 2)) for n in range(6)))
    assert [each.findings for each in audits] == [[]] * 6


async def test_one_replica_audits_for_all(till: Till) -> None:
    await spend(till, 5)
    done = await asyncio.gather(*(examine_if_due(till.database, MINUTE) for _ in range(4)))
    assert len([each for each in done if each is not None]) == 1
    assert await examine_if_due(till.database, MINUTE) is None
    assert await examine_if_due(till.database, timedelta(0)) is not None


async def test_holds_that_were_closed_long_ago_are_forgotten_and_nothing_else(till: Till) -> None:
    old, young, running = await till.reserve(5), await till.reserve(6), await till.reserve(7)
    for hold in (old, young):
        await till.ledger.settle(hold, 3)
    aged = "UPDATE hold SET closed_at = closed_at - interval '31 days' WHERE id = $1"
    await till.database.execute(aged, old.hold_id)
    upkeep = Upkeep(till.database, timedelta(days=30))
    assert [await upkeep.purge_holds(), await upkeep.purge_holds()] == [1, 0]
    left = {row["id"] for row in await till.database.fetch("SELECT id FROM hold")}
    assert left == {young.hold_id, running.hold_id}
    with pytest.raises(TrunklineError) as refused:
        await till.ledger.settle(old, 3)
    assert refused.value.reason is Reason.RESOURCE_NOT_FOUND
