"""Sums made in advance are what the rows say, whenever they were made, and can be thrown away."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest

from trunkline_server.core.ids import new_uuid
from trunkline_server.store import usage_sums
from trunkline_server.store.custom_events import CustomEvents
from trunkline_server.store.database import Connection, Database
from trunkline_server.store.rollups import Rollups
from trunkline_server.store.usage_sums import Selection, Span, sums

ROWS: Final = 1500
KEEP: Final = timedelta(days=90)
NOW: Final = datetime.now(UTC)
INSERT: Final = """
INSERT INTO usage SELECT (json_populate_record(NULL::usage, row_)).* FROM unnest($1::json[]) AS row_
"""


class Till:
    """Rows of usage of two tenants over the last days, at random times."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tenant_id = new_uuid()
        self.random = random.Random(8)
        self.ids: list[UUID] = []

    async def fill(self, count: int, days: float = 12) -> None:
        await self.database.execute(INSERT, [self._row(days) for _ in range(count)])

    def _row(self, days: float) -> str:
        pick, completion_id = self.random, new_uuid()
        failed = pick.random() < 0.1
        mine = pick.random() < 0.8
        if mine:
            self.ids.append(completion_id)
        row: dict[str, Any] = {
            "completion_id": str(completion_id),
            "tenant_id": str(self.tenant_id if mine else UUID(int=7)),
            "user_id": pick.choice(("ada", "bob", "")),
            "key_id": pick.choice(("k1", "k2")),
            "operation": pick.choice(("chat", "embed")),
            "provider": pick.choice(("one", "two")),
            "model": pick.choice(("small", "large")),
            "requested_model": "m",
            "unit_counts": {},
            "usage_source": "USAGE_SOURCE_PROVIDER",
            "basis": "none" if failed else "provider_usage",
            "price_version": "1",
            "outcome": "OUTCOME_FAILED" if failed else "OUTCOME_COMPLETED",
            "finish_reason": "",
            "error_reason": "",
            "attempts": pick.randint(1, 3),
            "first_token_ms": pick.choice((0, pick.randint(1, 900))),
            "duration_ms": pick.randint(1, 60_000),
            "labels": {"team": pick.choice(("red", "blue"))},
            "request_id": "",
            "create_time": (NOW - timedelta(days=pick.random() * days)).isoformat(),
        }
        tokens = ("input", "cached_input", "cache_write_input", "output", "reasoning_output")
        row |= {f"{name}_tokens": pick.randint(0, 1000) for name in tokens}
        row |= {name: 0 if failed else pick.randint(1, 10**12) for name in ("cost_nano_usd", "charge_nanos")}
        return json.dumps(row)

    def selections(self) -> list[Selection]:
        """By everything that there is, over times that begin and end anywhere."""
        bys: list[tuple[str, ...]] = [
            (),
            ("day",),
            ("hour",),
            ("week",),
            ("month", "operation"),
            ("provider", "model"),
            ("user_id",),
            ("day", "user_id", "key_id"),
            ("hour", "user_id"),
            ("label",),
        ]
        whole = Span(NOW - timedelta(days=20), NOW + timedelta(days=1))
        part = Span(NOW - timedelta(days=7.37), NOW - timedelta(days=1.61))
        made = [Selection(self.tenant_id, span, by=by, label="team") for by in bys for span in (whole, part)]
        filters: list[dict[str, Any]] = [{"user_id": "ada"}, {"model": "small"}, {"labels": {"team": "red"}}]
        return made + [Selection(self.tenant_id, whole, by=("day",), **each) for each in filters]

    async def told(self) -> list[Any]:
        told: list[Any] = []
        for selection in self.selections():
            told.append(await sums(self.database, selection, 5000))
            told.append(await sums(self.database, selection._replace(paced=True), 5000))
        return told

    async def reprice(self, count: int) -> None:
        for completion_id in self.ids[:count]:
            await self.database.execute(
                "INSERT INTO repricing (tenant_id, completion_id, price_version, cost_nano_usd, charge_nanos)"
                " VALUES ($1, $2, '2', 5, -3)",
                self.tenant_id,
                completion_id,
            )


@pytest.fixture
async def till(database: Database) -> Till:
    till = Till(database)
    await till.fill(ROWS)
    return till


@pytest.fixture
def rollups(database: Database) -> Rollups:
    return Rollups(database, KEEP)


async def test_sums_are_the_same_with_and_without_being_made_in_advance(till: Till, rollups: Rollups) -> None:
    await till.reprice(20)
    plain = await till.told()
    assert len(plain[0][0].group) == 7
    assert plain[0][0].calls == len(till.ids)
    assert await rollups.catch_up()
    assert await till.database.fetchval("SELECT count(*) FROM usage_hour") > 0
    assert await till.told() == plain


async def test_a_read_is_of_the_sums_and_not_of_the_rows(till: Till, rollups: Rollups) -> None:
    await rollups.catch_up()
    before = await till.told()
    await till.database.execute("DELETE FROM usage WHERE create_time < $1", NOW - timedelta(days=5))
    selection = Selection(till.tenant_id, Span(NOW - timedelta(days=20), NOW), by=("day",))
    assert await sums(till.database, selection, 5000) == before[2 + 2]


async def test_what_is_repriced_later_counts_at_once(till: Till, rollups: Rollups) -> None:
    await rollups.catch_up()
    await till.reprice(40)
    told = await till.told()
    assert (told[0][0].repriced_nanos, len(told)) == (-120, len(told))
    await till.database.execute("DELETE FROM rollup")
    assert await till.told() == told


async def test_it_goes_on_where_it_ended_and_can_be_made_again(till: Till, rollups: Rollups) -> None:
    assert not await rollups.catch_up(steps_max=3)
    plain = await till.told()
    assert await rollups.catch_up()
    assert await till.told() == plain
    await till.fill(100)  # late, by hand: what no writer does
    await rollups.again(NOW - timedelta(days=30))
    assert await till.database.fetchval("SELECT count(*) FROM usage_hour") == 0
    assert await rollups.catch_up()
    made = await till.told()
    assert made[0][0].calls == len(till.ids)
    await till.database.execute("DELETE FROM rollup")
    assert await till.told() == made


async def test_an_hour_that_is_summed_while_somebody_reads_counts_once(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = Selection(till.tenant_id, Span(NOW - timedelta(days=20), NOW), by=("day", "user_id"))
    plain = await sums(till.database, selection, 5000)
    step = "SELECT rollup_step($1, '90 days')"
    while await till.database.fetchval(step, NOW - timedelta(hours=3)):
        pass
    asked = usage_sums._rolled

    async def and_then_a_step(connection: Connection) -> Span:
        rolled = await asked(connection)
        await till.database.execute(step, NOW)
        return rolled

    monkeypatch.setattr(usage_sums, "_rolled", and_then_a_step)
    assert await sums(till.database, selection, 5000) == plain


async def test_a_writer_is_waited_for_and_one_that_never_ends_is_not(
    till: Till, rollups: Rollups, postgres_url: str
) -> None:
    connection = await asyncpg.connect(postgres_url)
    async with connection.transaction():
        await connection.execute(INSERT, [till._row(1)])
        assert not await rollups.catch_up()
    await connection.close()
    assert await rollups.catch_up()
    assert (await till.told())[0][0].calls == len(till.ids)


async def test_old_months_are_dropped_and_the_rows_still_tell(till: Till, rollups: Rollups) -> None:
    await rollups.catch_up()
    plain = await till.told()
    short = Rollups(till.database, timedelta(0))
    parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'usage_hour'::regclass"
    for month in (NOW.replace(day=1) - timedelta(days=n * 27 + 60) for n in range(3)):
        await till.database.execute("SELECT rollup_month($1)", month)
    had = await till.database.fetchval(parts)
    for _ in range(2):
        await short.retain()
        assert await till.told() == plain
    assert await till.database.fetchval(parts) <= had - 2
    next_month = (NOW.replace(day=1) + timedelta(days=32)).strftime("custom_event_%Y_%m")
    assert await till.database.fetchval("SELECT to_regclass($1) IS NOT NULL", next_month)


async def test_an_empty_database(database: Database, rollups: Rollups) -> None:
    assert await rollups.catch_up()
    await rollups.retain()
    assert await sums(database, Selection(new_uuid(), Span(NOW - KEEP, NOW)), 10) == []


async def test_events_of_ones_own(database: Database) -> None:
    events, tenant_id = CustomEvents(database), new_uuid()
    for value in (1.5, 2.0):
        await events.record(tenant_id, "ada", "liked", value, {"page": "one"})
    noted = await events.record(tenant_id, "bob", "sold", 10, {})
    span = Span(NOW - KEEP, noted + timedelta(seconds=1))
    assert await events.sums(tenant_id, span) == [("liked", 2, 3.5), ("sold", 1, 10.0)]
    assert await events.sums(tenant_id, span, "bob") == [("sold", 1, 10.0)]
    assert await events.sums(new_uuid(), span) == []
