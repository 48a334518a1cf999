"""Schedules: one replica does it for all, what was missed is done once, and a failure is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.fixtures.until import until
from trunkline_server.store.database import Database, Held
from trunkline_server.store.schedules import ScheduleRow, Schedules
from trunkline_server.worker.chores import Chore
from trunkline_server.worker.schedules import Runner

DAY_S = 86_400


@asynccontextmanager
async def runners(database: Database, chore: Chore, count: int) -> AsyncIterator[None]:
    """So many replicas."""
    running = [asyncio.create_task(Runner(database, [chore], look_s=0.05).run()) for _ in range(count)]
    await until(lambda: known(database, lambda row: True))
    yield
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def known(database: Database, fits: Callable[[ScheduleRow], bool]) -> bool:
    return any(fits(row) for row in await Schedules(database).all())


async def test_one_replica_does_what_several_missed_and_does_it_once(database: Database) -> None:
    done: list[int] = []

    async def work() -> None:
        done.append(1)
        await asyncio.sleep(0)

    await Schedules(database).know("sweep", DAY_S, 0)
    await database.execute("UPDATE schedule SET next_at = now() - interval '9 days'")
    async with runners(database, Chore("sweep", DAY_S, work), 3):
        await until(lambda: known(database, lambda row: row.run_count == 1))
        assert await Schedules(database).hurry("sweep")
        await until(lambda: known(database, lambda row: row.run_count == 2))
    assert len(done) == 2
    assert not await Schedules(database).hurry("nothing")


async def test_only_one_runs_at_a_time(database: Database) -> None:
    go, running, most = asyncio.Event(), 0, 0

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await go.wait()
        running -= 1

    async with runners(database, Chore("sweep", DAY_S, work, first_within_s=0.01), 3):
        await until(lambda: running == 1)
        await Schedules(database).hurry("sweep")
        go.set()
        await until(lambda: known(database, lambda row: row.run_count == 2))
    assert most == 1


async def test_after_what_nobody_foresaw_it_has_its_turn_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, failures = Schedules.lock, [ValueError("canary")]

    async def locked(self: Schedules, held: Held, name: str) -> bool:
        if failures:
            raise failures.pop()
        return await lock(self, held, name)

    async def work() -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(Schedules, "lock", locked)
    async with runners(database, Chore("sweep", DAY_S, work, first_within_s=0.01), 1):
        await until(lambda: known(database, lambda row: row.run_count == 1))


async def test_a_failure_is_told_and_forgotten(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    failures = [ValueError("canary")]

    async def work() -> None:
        if failures:
            raise failures.pop()

    async with runners(database, Chore("sweep", DAY_S, work, first_within_s=0.01), 1):
        await until(lambda: known(database, lambda row: row.failure == "ValueError"))
        await Schedules(database).hurry("sweep")
        await until(lambda: known(database, lambda row: row.run_count == 2 and not row.failure))
    assert "canary" not in caplog.text
