"""EventService and the outbox behind it: nothing is lost, told twice, or told without having happened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import grpc
import pytest

from tests.fixtures.gateway import RunningGateway, reason_of
from tests.fixtures.jobs import create, ended, spec
from trunkline.v1 import events_pb2, jobs_pb2
from trunkline_server.core.ids import new_uuid
from trunkline_server.store import outbox
from trunkline_server.store.database import Database
from trunkline_server.store.outbox import Outbox

LEASE = timedelta(seconds=30)


def happened(name: str) -> events_pb2.Event:
    return events_pb2.Event(batch_progress=events_pb2.BatchProgress(batch_id=name))


def names(batch: outbox.Batch) -> list[str]:
    return [row.message().batch_progress.batch_id for row in batch.events]


async def test_a_change_that_is_taken_back_was_never_told(database: Database) -> None:
    tenant_id, events = new_uuid(), Outbox(database)

    async def fail() -> None:
        async with database.transaction() as connection:
            await outbox.write(connection, tenant_id, happened("never"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await events.emit(tenant_id, happened("really"))
    assert names(await events.after(tenant_id, 0)) == ["really"]


async def test_a_transaction_that_began_first_and_commits_last_is_not_missed(database: Database) -> None:
    tenant_id, events = new_uuid(), Outbox(database)
    async with database.transaction() as slow:
        await outbox.write(slow, tenant_id, happened("slow"))
        await events.emit(tenant_id, happened("quick"))
        first = await events.after(tenant_id, 0)
        assert names(first) == ["quick"]
    assert names(await events.after(tenant_id, first.position)) == ["slow"]


async def test_readers_beside_many_writers_see_each_event_once(database: Database) -> None:
    tenant_id, events = new_uuid(), Outbox(database)
    seen: list[str] = []

    async def write(name: str) -> None:
        async with database.transaction() as connection:
            await outbox.write(connection, tenant_id, happened(name))
            await asyncio.sleep(0)

    async def read() -> None:
        position = 0
        while len(seen) < 60:
            batch = await events.after(tenant_id, position, limit=7)
            seen.extend(names(batch))
            position = batch.position

    async with asyncio.timeout(30):
        await asyncio.gather(read(), *(write(str(number)) for number in range(60)))
    assert sorted(seen, key=int) == [str(number) for number in range(60)]


async def test_one_process_at_a_time_reads_under_a_name(database: Database) -> None:
    events, one, other = Outbox(database), new_uuid(), new_uuid()
    assert await events.take("hooks", one, LEASE) == 0
    assert await events.take("hooks", other, LEASE) is None
    assert await events.advance("hooks", one, 7, LEASE)
    assert not await events.advance("hooks", other, 9, LEASE)
    await events.leave("hooks", one)
    assert await events.take("hooks", other, LEASE) == 7
    assert not await events.advance("hooks", one, 8, LEASE)


async def test_a_subscriber_hears_the_past_then_the_present(gateway: RunningGateway) -> None:
    past = await create(gateway, spec())
    await ended(gateway, past.job_id)
    heard = subscribe(gateway, events_pb2.SubscribeRequest(from_beginning=True))
    assert await states(heard, past.job_id) == [1, 3, 10]
    present = await create(gateway, spec())
    assert await states(heard, present.job_id) == [1, 3, 10]


async def test_a_cursor_goes_on_where_another_ended(gateway: RunningGateway) -> None:
    job = await create(gateway, spec())
    await ended(gateway, job.job_id)
    all_of_it = subscribe(gateway, events_pb2.SubscribeRequest(from_beginning=True, types=["JobStateChanged"]))
    first = await anext(all_of_it)
    rest = subscribe(gateway, events_pb2.SubscribeRequest(cursor=first.cursor))
    assert (await anext(rest)).job_state_changed.state == jobs_pb2.JOB_STATE_RUNNING


async def test_types_narrow_and_unknown_ones_are_refused(gateway: RunningGateway) -> None:
    listed = await gateway.events.ListEventTypes(events_pb2.ListEventTypesRequest(), metadata=gateway.metadata())
    assert {each.name for each in listed.types} >= {"JobStateChanged", "BatchProgress"}
    job = await create(gateway, spec())
    await ended(gateway, job.job_id)
    tenant_id = await tenant_of(gateway)
    await gateway.house.background.outbox.emit(tenant_id, happened("mine"))
    narrow = subscribe(gateway, events_pb2.SubscribeRequest(from_beginning=True, types=["BatchProgress"]))
    assert (await anext(narrow)).batch_progress.batch_id == "mine"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await anext(subscribe(gateway, events_pb2.SubscribeRequest(types=["Nothing"])))
    assert reason_of(refused.value) == "VALIDATION"


async def test_what_is_forgotten_is_said(gateway: RunningGateway) -> None:
    tenant_id, events = await tenant_of(gateway), gateway.house.background.outbox
    await events.emit(tenant_id, happened("old"), happened("older"))
    await events.head()
    assert await events.purge(timedelta(0)) == 3  # and the first API key
    await events.emit(tenant_id, happened("new"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await anext(subscribe(gateway, events_pb2.SubscribeRequest(cursor="1")))
    assert reason_of(refused.value) == "RESUME_EXPIRED"
    heard = subscribe(gateway, events_pb2.SubscribeRequest(from_beginning=True))
    assert (await anext(heard)).batch_progress.batch_id == "new"


async def test_another_tenants_events_are_not_told(gateway: RunningGateway) -> None:
    events = gateway.house.background.outbox
    await events.emit(new_uuid(), happened("theirs"))
    await events.emit(await tenant_of(gateway), happened("mine"))
    heard = subscribe(gateway, events_pb2.SubscribeRequest(from_beginning=True, types=["BatchProgress"]))
    assert (await anext(heard)).batch_progress.batch_id == "mine"


async def subscribe(gateway: RunningGateway, request: events_pb2.SubscribeRequest) -> AsyncIterator[events_pb2.Event]:
    stream = gateway.events.Subscribe(request, metadata=gateway.metadata(), timeout=30)
    async for told in stream:
        if told.HasField("event"):
            yield told.event


async def states(heard: AsyncIterator[events_pb2.Event], job_id: str) -> list[int]:
    """Those of a job, up to its end."""
    found: list[int] = []
    while 10 not in found:
        event = await anext(heard)
        if event.job_state_changed.job_id == job_id:
            found.append(event.job_state_changed.state)
    return found


async def tenant_of(gateway: RunningGateway) -> UUID:
    tenant_id: UUID = await gateway.house.background.database.fetchval("SELECT tenant_id FROM tenant")
    return tenant_id
