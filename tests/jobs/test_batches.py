"""BatchService over the socket: every item has its own end, and the counts always add up."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, StartGateway, question, reason_of, text_of
from tests.fixtures.jobs import spec
from tests.fixtures.refusal import send, wording
from tests.fixtures.talks import another_tenant
from tests.fixtures.until import until
from trunkline.v1 import batches_pb2, chat_pb2, events_pb2, jobs_pb2

LONG: dict[str, Any] = {"text": "one two three four", "first_token_ms": 30_000}


async def create(gateway: RunningGateway, specs: list[jobs_pb2.JobSpec], **fields: Any) -> batches_pb2.Batch:
    items = [batches_pb2.BatchItemSpec(custom_id=f"n{number}", spec=each) for number, each in enumerate(specs)]
    request = batches_pb2.CreateBatchRequest(items=items, **fields)
    return (await gateway.batches.CreateBatch(request, metadata=gateway.metadata("ada"))).batch


async def watched(gateway: RunningGateway, batch_id: str) -> list[batches_pb2.Batch]:
    request = batches_pb2.WatchBatchRequest(batch_id=batch_id)
    stream = gateway.batches.WatchBatch(request, metadata=gateway.metadata(), timeout=50)
    return [told.batch async for told in stream]


async def items(gateway: RunningGateway, batch_id: str, page_size: int = 0) -> list[batches_pb2.BatchItem]:
    found: list[batches_pb2.BatchItem] = []
    request = batches_pb2.ListBatchItemsRequest(batch_id=batch_id, page_size=page_size)
    while not found or request.page_token:
        page = await gateway.batches.ListBatchItems(request, metadata=gateway.metadata())
        found.extend(page.items)
        request.page_token = page.next_page_token
    return found


def total(progress: events_pb2.BatchProgress) -> int:
    waiting = progress.runnable_count + progress.delayed_count + progress.running_count
    return waiting + progress.succeeded_count + progress.failed_count + progress.cancelled_count


async def test_each_item_has_its_own_end_in_order(books: Books, gateway: RunningGateway) -> None:
    specs = [spec("zero"), spec(model="sandbox/broken"), spec("two"), spec("three")]
    made = await create(gateway, specs, max_attempts=1, name="four", labels={"for": "test"})
    told = await watched(gateway, made.batch_id)
    done = told[-1]

    assert (done.state, done.percentage, done.name) == (batches_pb2.BATCH_STATE_COMPLETED, 100.0, "four")
    assert (done.progress.succeeded_count, done.progress.failed_count) == (3, 1)
    assert {total(each.progress) for each in told} == {4}
    found = await items(gateway, made.batch_id, page_size=3)
    assert [(each.index, each.custom_id) for each in found] == [(0, "n0"), (1, "n1"), (2, "n2"), (3, "n3")]
    assert [text_of(each.result.completion) for each in found if not each.HasField("error")] == ["zero", "two", "three"]
    assert found[1].error.code != 0
    assert done.charge.nanos == sum(await books.charges()) > 0


async def test_the_first_error_may_stop_it(books: Books, gateway: RunningGateway) -> None:
    specs = [spec(model="sandbox/broken"), *(spec(str(number)) for number in range(5))]
    made = await create(gateway, specs, max_attempts=1, stop_on_error=True, concurrency_max=1)
    done = (await watched(gateway, made.batch_id))[-1]

    assert done.state == batches_pb2.BATCH_STATE_STOPPED
    assert (done.progress.failed_count, done.progress.cancelled_count) == (1, 5)
    assert await books.charges() == []


async def test_no_more_run_at_once_than_it_allows(books: Books, gateway: RunningGateway) -> None:
    made = await create(gateway, [spec(head_ms=30, text=str(number)) for number in range(12)], concurrency_max=2)
    told = await watched(gateway, made.batch_id)
    assert told[-1].progress.succeeded_count == 12
    overlap = """
        SELECT max(depth) FROM (
            SELECT (SELECT count(*) FROM job AS other
                    WHERE other.started_at <= one.started_at AND other.ended_at > one.started_at) AS depth
            FROM job AS one) AS depths"""
    assert await books.database.fetchval(overlap) <= 2


async def test_cancelling_ends_what_waits_and_what_runs(books: Books, gateway: RunningGateway) -> None:
    made = await create(gateway, [spec(**LONG) for _ in range(6)], concurrency_max=2)
    request = batches_pb2.CancelBatchRequest(batch_id=made.batch_id)
    await gateway.batches.CancelBatch(request, metadata=gateway.metadata())
    done = (await watched(gateway, made.batch_id))[-1]
    assert (done.state, done.progress.cancelled_count) == (batches_pb2.BATCH_STATE_CANCELLED, 6)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.batches.CancelBatch(request, metadata=gateway.metadata())
    assert reason_of(refused.value) == "JOB_FINAL"


async def test_items_that_a_provider_limits_wait_and_the_others_go_on(books: Books, gateway: RunningGateway) -> None:
    throttled = [spec(model="sandbox/throttled") for _ in range(3)]
    made = await create(gateway, [*throttled, spec("one"), spec("two")])
    request = batches_pb2.GetBatchRequest(batch_id=made.batch_id)

    async def settled() -> events_pb2.BatchProgress | None:
        batch = (await gateway.batches.GetBatch(request, metadata=gateway.metadata())).batch
        assert total(batch.progress) == 5
        calm = (batch.progress.delayed_count, batch.progress.succeeded_count) == (3, 2)
        return batch.progress if calm else None

    await until(settled)
    delayed = [item for item in await items(gateway, made.batch_id) if item.state == jobs_pb2.JOB_STATE_DELAYED]
    assert {item.index for item in delayed} <= {0, 1, 2}
    await gateway.batches.CancelBatch(
        batches_pb2.CancelBatchRequest(batch_id=made.batch_id), metadata=gateway.metadata()
    )
    done = (await watched(gateway, made.batch_id))[-1]
    assert (done.progress.succeeded_count, done.progress.cancelled_count) == (2, 3)


async def test_items_that_could_run_are_told_from_those_that_wait_for_a_time(
    books: Books, start_gateway: StartGateway
) -> None:
    gateway = await start_gateway(jobs={"worker": "false"})
    made = await create(gateway, [spec(str(number)) for number in range(4)])
    await books.database.execute(
        "UPDATE job SET state = 'delayed', delay_reason = 'rate_limited', run_at = now() + interval '1 h'"
        " WHERE item_index < 3"
    )
    request = batches_pb2.GetBatchRequest(batch_id=made.batch_id)
    progress = (await gateway.batches.GetBatch(request, metadata=gateway.metadata())).batch.progress
    assert (progress.runnable_count, progress.delayed_count, total(progress)) == (1, 3, 4)
    stopping = batches_pb2.CancelBatchRequest(batch_id=made.batch_id)
    await gateway.batches.CancelBatch(stopping, metadata=gateway.metadata())
    worker = await gateway.house.background.begin_work()
    await watched(gateway, made.batch_id)
    await worker.end()


async def test_a_strangers_batch_is_as_unknown_as_none(books: Books, gateway: RunningGateway) -> None:
    stranger = await another_tenant(gateway)
    batch_id = (await create(gateway, [spec(**LONG)])).batch_id
    nobodys = "batch_00000000000070008000000000000000"
    for method, request in {
        "GetBatch": batches_pb2.GetBatchRequest,
        "WatchBatch": batches_pb2.WatchBatchRequest,
        "CancelBatch": batches_pb2.CancelBatchRequest,
        "ListBatchItems": batches_pb2.ListBatchItemsRequest,
    }.items():
        path = f"/trunkline.v1.BatchService/{method}"
        foreign, unknown = [
            await wording(send(gateway.channel, path, request(batch_id=each), stranger)) for each in (batch_id, nobodys)
        ]
        assert foreign == unknown.replace(nobodys, batch_id)
        assert "RESOURCE_NOT_FOUND" in foreign
    assert not (await gateway.batches.ListBatches(batches_pb2.ListBatchesRequest(), metadata=stranger)).batches
    await gateway.batches.CancelBatch(batches_pb2.CancelBatchRequest(batch_id=batch_id), metadata=gateway.metadata())


async def test_it_is_made_as_a_whole_or_not_at_all(books: Books, start_gateway: StartGateway) -> None:
    gateway = await start_gateway(credits={"default_grant": "0.05"}, jobs={"worker": "false"})
    with pytest.raises(grpc.aio.AioRpcError) as poor:
        await create(gateway, [spec(str(number)) for number in range(300)])
    assert reason_of(poor.value) == "CREDIT_INSUFFICIENT"
    with pytest.raises(grpc.aio.AioRpcError) as wrong:
        await create(gateway, [spec(), spec(model="sandbox/nothing")])
    assert (reason_of(wrong.value), "items[1]" in str(wrong.value.details())) == ("MODEL_NOT_FOUND", True)
    assert await books.database.fetchval("SELECT count(*) FROM job") == 0
    assert await books.held() == 0


async def test_a_request_id_makes_one_batch(books: Books, gateway: RunningGateway) -> None:
    first = await create(gateway, [spec()], request_id="once")
    await books.database.execute("DELETE FROM idempotency")
    second = await create(gateway, [spec()], request_id="once")
    assert first.batch_id == second.batch_id
    listed = await gateway.batches.ListBatches(batches_pb2.ListBatchesRequest(), metadata=gateway.metadata())
    assert [each.batch_id for each in listed.batches] == [first.batch_id]
    await watched(gateway, first.batch_id)


async def test_nobody_waits_for_its_items_to_be_written(books: Books, gateway: RunningGateway) -> None:
    """Writing them stops in the middle, and the account pays for others meanwhile."""
    async with books.database.transaction() as blocker:
        await blocker.execute("LOCK TABLE batch IN SHARE MODE")
        creating = asyncio.create_task(create(gateway, [spec(str(number)) for number in range(3)]))
        await until(lambda: books.database.fetchval("SELECT count(*) = 1 FROM hold WHERE state = 'held'"))
        request = chat_pb2.CompleteRequest(input=question("beside it"))
        answered = await gateway.chat.Complete(request, metadata=gateway.metadata("ada"), timeout=20)
        assert text_of(answered.completion) == "beside it"
        assert not creating.done()
    made = await creating
    assert (await watched(gateway, made.batch_id))[-1].progress.succeeded_count == 3


async def test_what_cannot_be_written_holds_nothing(books: Books, gateway: RunningGateway) -> None:
    await books.database.execute("ALTER TABLE batch ADD CONSTRAINT no CHECK (name <> 'no')")
    with pytest.raises(grpc.aio.AioRpcError):
        await create(gateway, [spec("one")], name="no")
    await until(lambda: books.database.fetchval("SELECT sum(held) = 0 FROM account"))
    assert await books.database.fetchval("SELECT count(*) FROM job") == 0
