"""Usage by the month: room is made ahead, no row is refused for want of it, old months go as a whole."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import pytest

from tests.fixtures.ledger import open_till
from tests.fixtures.until import until
from tests.fixtures.usage_rows import fill
from trunkline_server.core.ids import new_uuid
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.migrate import bundled, migrate
from trunkline_server.store.rollups import Rollups
from trunkline_server.store.usage import Usage
from trunkline_server.store.usage_sums import Selection, Span, Sum, sums

NOW: Final = datetime.now(UTC)
BEFORE: Final = [migration for migration in bundled() if migration.name < "0170"]
PLACES: Final = "SELECT tableoid::regclass::text, count(*) FROM usage GROUP BY 1"
MONTHS: Final = """
SELECT inhrelid::regclass::text FROM pg_inherits
WHERE inhparent = 'usage'::regclass AND inhrelid <> 'usage_rest'::regclass
ORDER BY 1
"""
AHEAD: Final = "SELECT usage_months(now() + $1::interval)"
MOVE: Final = "UPDATE usage SET create_time = create_time + $1::interval"


async def months(database: Database) -> list[str]:
    return [row[0] for row in await database.fetch(MONTHS)]


async def places(database: Database) -> dict[str, int]:
    return {row[0]: row[1] for row in await database.fetch(PLACES)}


async def whole(database: Database, tenant_id: UUID) -> list[Sum]:
    return await sums(database, Selection(tenant_id, Span(NOW - timedelta(days=400), NOW + timedelta(days=400))), 5)


async def waits(database: Database) -> bool:
    """Whether somebody waits for a lock on usage."""
    return bool(await database.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"))


async def test_months_are_made_ahead_and_once(database: Database) -> None:
    two_ahead = (NOW.replace(day=1) + timedelta(days=62)).strftime("usage_%Y_%m")
    had = await months(database)
    assert had[-1] >= two_ahead
    for _ in range(2):
        await Rollups(database, timedelta(days=90)).retain()
    assert await months(database) == had


async def test_a_row_without_its_month_is_kept_and_moves_when_it_comes(database: Database) -> None:
    tenant_id, late = new_uuid(), timedelta(days=200)
    await fill(database, tenant_id, 50, 1)
    await database.execute(MOVE, late)
    assert await places(database) == {"usage_rest": 50}
    told = await whole(database, tenant_id)
    await database.execute(AHEAD, late)
    assert sum((await places(database)).values()) == 50
    assert "usage_rest" not in await places(database)
    assert await whole(database, tenant_id) == told
    assert told[0].calls == 50


async def test_what_is_old_is_dropped_by_the_month_and_the_rest_stays(database: Database) -> None:
    await database.execute(AHEAD, timedelta(days=150))
    last = (await months(database))[-1]
    first_day = datetime.strptime(last, "usage_%Y_%m").replace(tzinfo=UTC)
    for moved in (first_day + timedelta(days=2) - NOW, timedelta(0)):
        await fill(database, new_uuid(), 20, 1)
        await database.execute(MOVE, moved)
    await database.execute("INSERT INTO rollup VALUES (true, now() - interval '9 days', now() + interval '1 year')")
    rollups = Rollups(database, NOW - first_day - timedelta(days=1))
    await rollups.retain()
    assert len(await places(database)) == 2, "sums turn away from it first"
    await rollups.retain()
    assert await places(database) == {last: 20}
    assert (await months(database))[0] == last


async def test_a_call_is_found_by_its_id_without_looking_at_every_row(database: Database) -> None:
    find = "EXPLAIN SELECT * FROM usage WHERE completion_id = $1 AND tenant_id = $2"
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = [row[0] for row in await connection.fetch(find, new_uuid(), new_uuid())]
    assert sum("_completion" in line for line in plan) == len(await months(database)) + 1


async def test_an_installation_from_before_comes_to_it_while_it_is_used(empty_url: str) -> None:
    """A replica of the old version has its statements prepared, and goes on with them."""
    await migrate(empty_url, BEFORE)
    database = await Database.open(DatabaseSettings(empty_url))
    async with open_till(database) as till:
        await fill(database, till.tenant_id, 300, 100)
        early = await till.reserve(10)
        await till.ledger.settle(early, 7, till.usage(early.hold_id, charge_nanos=7, cost_nano_usd=7))
        rows = await database.fetch("SELECT * FROM usage ORDER BY completion_id")
        async with database.transaction() as reader:
            await reader.fetchval("SELECT count(*) FROM usage_line")
            upgrade = asyncio.create_task(migrate(empty_url))
            await until(lambda: waits(database))
        assert await upgrade == [migration.name for migration in bundled()[len(BEFORE) :]]
        assert await database.fetch("SELECT * FROM usage ORDER BY completion_id") == rows
        late = await till.reserve(10)
        for _ in range(2):
            await till.ledger.settle(late, 9, till.usage(late.hold_id, charge_nanos=9, cost_nano_usd=9))
        for hold, charge in ((early, 7), (late, 9)):
            found = await Usage(database).find(till.tenant_id, hold.hold_id)
            assert found is not None
            assert found.charge_nanos == charge
        assert await Rollups(database, timedelta(days=400)).catch_up()
        told = await whole(database, till.tenant_id)
        assert (told[0].calls, told[0].cost_nano_usd) == (302, sum(row["cost_nano_usd"] for row in rows) + 9)
    await database.close()


async def test_the_months_of_usage_are_nobodys_but_the_owners(database: Database) -> None:
    tenant = database.of(new_uuid())
    assert await tenant.fetchval("SELECT count(*) FROM usage") == 0
    for month in await months(database):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await tenant.fetchval(f"SELECT count(*) FROM {month}")
