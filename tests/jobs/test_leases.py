"""Leases: who has lost one writes nothing, what a dead worker left is done again, what kills workers is parked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, StartGateway
from tests.fixtures.jobs import create, get, spec
from trunkline.v1 import jobs_pb2
from trunkline_server.core import ids
from trunkline_server.store.job import JobChange, JobRow
from trunkline_server.store.jobs import NOBODY, Caps, Jobs
from trunkline_server.store.lane import Op

RESCUES = 3


@dataclass
class Yard:
    """Jobs, and workers that are played by the test."""

    gateway: RunningGateway
    books: Books

    @property
    def jobs(self) -> Jobs:
        return self.gateway.house.background.jobs

    async def claim(self, most: int = 1, **caps: int) -> list[JobRow]:
        return await self.jobs.claim("default", NOBODY, most, 30, Caps(**caps))

    async def lapse(self) -> None:
        """Every worker has been silent for too long."""
        await self.books.database.execute(
            "UPDATE job SET leased_until = clock_timestamp() - interval '1 s' WHERE state = 'running'"
        )
        await self.jobs.sweep(RESCUES)

    async def finish(self, job: JobRow, charge: int = 5) -> bool:
        """Whether it counted."""
        op = Op("settled", job.hold_id, job.hold_account, charge, 0)
        change = JobChange(id=job.id, lease_token=job.lease_token, target="succeeded", ops=[op], charge_nanos=charge)
        return (await self.jobs.apply(change)).fenced

    async def state(self, job: JobRow) -> jobs_pb2.Job:
        return await get(self.gateway, ids.spell("job", job.id))


@pytest.fixture
async def yard(books: Books, start_gateway: StartGateway) -> Yard:
    return Yard(await start_gateway(jobs={"worker": "false"}), books)


async def order(yard: Yard, count: int = 1, **fields: Any) -> None:
    for _ in range(count):
        await create(yard.gateway, spec(), **fields)


async def test_who_has_lost_the_lease_writes_nothing(yard: Yard) -> None:
    await order(yard)
    [stale] = await yard.claim()
    await yard.lapse()
    [fresh] = await yard.claim()
    assert (fresh.id, fresh.lease_token) == (stale.id, stale.lease_token + 1)

    assert not await yard.finish(stale, charge=7)
    assert await yard.jobs.renew([(stale.id, stale.lease_token)], 30) == {}
    assert await yard.books.charges() == []
    assert await yard.finish(fresh, charge=5)
    assert not await yard.finish(fresh, charge=5)
    assert await yard.books.charges() == [5]
    assert (await yard.state(fresh)).state == jobs_pb2.JOB_STATE_SUCCEEDED


async def test_a_job_that_loses_three_workers_is_parked(yard: Yard) -> None:
    await order(yard)
    for _ in range(RESCUES):
        [job] = await yard.claim()
        await yard.lapse()
    parked = await yard.state(job)
    assert (parked.state, parked.rescue_count) == (jobs_pb2.JOB_STATE_FAILED, 3)
    assert "workers were lost" in parked.error.message
    assert await yard.books.held() == 0


async def test_a_dead_workers_job_that_shall_end_ends(yard: Yard) -> None:
    await order(yard)
    [job] = await yard.claim()
    await yard.jobs.cancel(job.tenant_id, job.id)
    assert await yard.jobs.renew([(job.id, job.lease_token)], 30) == {job.id: True}
    await yard.lapse()
    assert (await yard.state(job)).state == jobs_pb2.JOB_STATE_CANCELLED


async def test_a_job_that_is_too_old_fails(yard: Yard) -> None:
    await order(yard)
    await yard.books.database.execute("UPDATE job SET expires_at = clock_timestamp()")
    await yard.jobs.sweep(RESCUES)
    assert await yard.claim() == []
    assert await yard.books.database.fetchval("SELECT error_reason FROM job") == "JOB_EXPIRED"


async def test_higher_ranks_go_first(yard: Yard) -> None:
    for rank in (0, 5, -5, 100):
        await order(yard, priority=rank)
    claimed = [(await yard.claim())[0].priority for _ in range(4)]
    assert claimed == [100, 5, 0, -5]
    await yard.books.database.execute("UPDATE job SET cancel_requested = true")
    await yard.lapse()


async def test_tenants_take_turns(yard: Yard) -> None:
    await order(yard, 6)
    other = ids.new_uuid()
    await yard.books.database.execute(
        "UPDATE job SET tenant_id = $1 WHERE id IN (SELECT id FROM job ORDER BY id LIMIT 3)", other
    )
    claimed = await yard.claim(4)
    assert sorted(job.tenant_id == other for job in claimed) == [False, False, True, True]
    await yard.books.database.execute("UPDATE job SET cancel_requested = true WHERE state = 'running'")
    await yard.books.database.execute("UPDATE job SET expires_at = clock_timestamp() WHERE state = 'queued'")
    await yard.lapse()


@pytest.mark.parametrize("cap", ["tenant_max", "user_max", "model_max"])
async def test_no_more_run_than_a_cap_allows(yard: Yard, cap: str) -> None:
    await order(yard, 3)
    [one] = await yard.claim(3, **{cap: 1})
    assert await yard.claim(3, **{cap: 1}) == []
    assert await yard.finish(one)
    await yard.books.database.execute("UPDATE job SET run_at = clock_timestamp() WHERE state = 'delayed'")
    await yard.jobs.sweep(RESCUES)
    [two] = await yard.claim(3, **{cap: 1})
    assert await yard.finish(two)
    await yard.books.database.execute("UPDATE job SET expires_at = clock_timestamp() WHERE ended_at IS NULL")
    await yard.jobs.sweep(RESCUES)
