"""BatchService: many jobs under one name."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from trunkline.v1 import batches_pb2, events_pb2, jobs_pb2
from trunkline_server.core import ids, money
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Describe, FieldViolation, Reason, TrunklineError, draining, invalid
from trunkline_server.core.moment import timestamp
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.text import readable
from trunkline_server.gateway.job_reports import job_message
from trunkline_server.gateway.jobs.orders import Orders, Wish
from trunkline_server.store.batches import Batches, BatchRow, NewBatch
from trunkline_server.store.job import JobOrder, JobRow
from trunkline_server.store.news import News, heard

LOOK_S: Final = 1.0
PAUSE_S: Final = 0.5
BREATH: Final = 50
"""Items that are looked at before others have their turn."""
CUSTOM_ID: Final = "custom_id"
GATEWAY: Final = "gateway"
PROVIDER: Final = "provider"
MODES: Final = {GATEWAY: batches_pb2.BATCH_MODE_GATEWAY, PROVIDER: batches_pb2.BATCH_MODE_PROVIDER}


@dataclass(frozen=True)
class BatchService:
    """Items are jobs; a batch is what they have in common."""

    batches: Batches
    orders: Orders
    tokens: PageTokens
    news: News
    describe: Describe
    draining: Callable[[], bool]

    async def create_batch(
        self, call: Call, request: batches_pb2.CreateBatchRequest
    ) -> batches_pb2.CreateBatchResponse:
        new = _new_batch(call, request)
        again = new.request_id and await self.batches.find_repeated(new.tenant_id, new.request_id, new.fingerprint)
        if not again:
            orders = await self._orders(call, new, request)
            carrier = self._carrier(orders) if new.mode == PROVIDER else None
            again = await self.batches.create(new, orders, carrier)
        return batches_pb2.CreateBatchResponse(batch=await self._batch(call, again))

    async def get_batch(self, call: Call, request: batches_pb2.GetBatchRequest) -> batches_pb2.GetBatchResponse:
        return batches_pb2.GetBatchResponse(batch=await self._batch(call, _batch_id(request.batch_id)))

    async def list_batches(
        self, call: Call, request: batches_pb2.ListBatchesRequest
    ) -> batches_pb2.ListBatchesResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        rows = await self.batches.page(call.caller.tenant_id, paging.behind_id, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.id.hex,))
        return batches_pb2.ListBatchesResponse(batches=map(_message, page), next_page_token=token)

    async def watch_batch(
        self, call: Call, request: batches_pb2.WatchBatchRequest
    ) -> AsyncGenerator[batches_pb2.WatchBatchResponse, None]:
        batch_id, told = _batch_id(request.batch_id), None
        with self.news.watched() as news:
            while not self.draining():
                news.clear()
                batch = await self._batch(call, batch_id)
                if batch != told:
                    yield batches_pb2.WatchBatchResponse(batch=batch)
                    told = batch
                if batch.state != batches_pb2.BATCH_STATE_RUNNING:
                    return
                await asyncio.sleep(PAUSE_S)
                await heard(news, LOOK_S)
        raise draining()

    async def cancel_batch(
        self, call: Call, request: batches_pb2.CancelBatchRequest
    ) -> batches_pb2.CancelBatchResponse:
        batch = await self._batch(call, _batch_id(request.batch_id))
        if batch.state != batches_pb2.BATCH_STATE_RUNNING:
            raise TrunklineError(Reason.JOB_FINAL, "the batch has ended already")
        await self.batches.cancel(call.caller.tenant_id, _batch_id(request.batch_id))
        return batches_pb2.CancelBatchResponse(batch=await self._batch(call, _batch_id(request.batch_id)))

    async def list_batch_items(
        self, call: Call, request: batches_pb2.ListBatchItemsRequest
    ) -> batches_pb2.ListBatchItemsResponse:
        batch = await self.batches.get(call.caller.tenant_id, _batch_id(request.batch_id))
        paging = self.tokens.paging(call.caller.tenant_id, request)
        after = int(paging.cursor[0]) if paging.cursor else -1
        rows = await self.batches.items(batch.id, after, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.item_index or 0,))
        return batches_pb2.ListBatchItemsResponse(items=map(self._item, page), next_page_token=token)

    async def _orders(self, call: Call, new: NewBatch, request: batches_pb2.CreateBatchRequest) -> list[JobOrder]:
        orders = []
        for index, item in enumerate(request.items):
            wish = Wish(
                queue=request.queue,
                priority=request.priority,
                timeout_s=request.timeout.seconds,
                max_attempts=request.max_attempts,
                labels={CUSTOM_ID: readable("items.custom_id", item.custom_id)},
                batch_id=new.id,
                item_index=index,
                in_bulk=new.mode == PROVIDER,
            )
            orders.append(await self._order(call, item.spec, wish))
            if index % BREATH == 0:
                await asyncio.sleep(0)
        return orders

    async def _order(self, call: Call, spec: jobs_pb2.JobSpec, wish: Wish) -> JobOrder:
        try:
            return await self.orders.make(call, spec, wish)
        except TrunklineError as error:
            place = f"items[{wish.item_index}]"
            error.message = f"{place}: {error.message}"
            error.violations = [FieldViolation(f"{place}.{each.field}", each.description) for each in error.violations]
            raise

    def _carrier(self, orders: Sequence[JobOrder]) -> JobOrder:
        """Raises VALIDATION where they are not all for one model."""
        first = orders[0]
        for order in orders:
            if (order.provider, order.model) != (first.provider, first.model):
                raise invalid(f"items[{order.item_index}].spec", "all items of a provider's batch go to one model")
        return self.orders.carrier(first)

    async def _batch(self, call: Call, batch_id: UUID) -> batches_pb2.Batch:
        return _message(await self.batches.get(call.caller.tenant_id, batch_id))

    def _item(self, row: JobRow) -> batches_pb2.BatchItem:
        job = job_message(row, self.describe)
        return batches_pb2.BatchItem(
            index=row.item_index or 0,
            custom_id=job.labels[CUSTOM_ID],
            job_id=job.job_id,
            state=job.state,
            result=job.result if job.HasField("result") else None,
            error=job.error if job.HasField("error") else None,
            charge=job.charge,
        )


def _new_batch(call: Call, request: batches_pb2.CreateBatchRequest) -> NewBatch:
    """Raises VALIDATION for what only workers can do."""
    if request.mode == batches_pb2.BATCH_MODE_PROVIDER:
        for field in ("stop_on_error", "concurrency_max", "max_attempts"):
            if getattr(request, field):
                raise invalid(field, "is the provider's own affair in mode PROVIDER")
    bare = batches_pb2.CreateBatchRequest()
    bare.CopyFrom(request)
    bare.ClearField("request_id")
    user = f"{call.user_id}\0{call.account_id}\0".encode()
    return NewBatch(
        id=ids.new_uuid(),
        tenant_id=call.caller.tenant_id,
        user_id=call.user_id,
        name=readable("name", request.name),
        mode=PROVIDER if request.mode == batches_pb2.BATCH_MODE_PROVIDER else GATEWAY,
        stop_on_error=request.stop_on_error,
        concurrency_max=request.concurrency_max,
        labels={readable("labels", key): readable("labels", value) for key, value in request.labels.items()},
        request_id=call.idempotency_key or None,
        fingerprint=hashlib.sha256(user + bare.SerializeToString(deterministic=True)).digest(),
    )


def _batch_id(text: str) -> UUID:
    return ids.require("batch", "batch", text)


def _message(row: BatchRow) -> batches_pb2.Batch:
    batch_id = ids.spell("batch", row.id)
    progress = events_pb2.BatchProgress(
        batch_id=batch_id,
        total_count=row.item_count,
        runnable_count=row.queued_count,
        delayed_count=row.delayed_count,
        running_count=row.running_count,
        succeeded_count=row.succeeded_count,
        failed_count=row.failed_count,
        cancelled_count=row.cancelled_count,
    )
    return batches_pb2.Batch(
        batch_id=batch_id,
        name=row.name,
        mode=MODES[row.mode],
        state=_state(row),
        progress=progress,
        percentage=100 * row.over_count / row.item_count,
        stop_on_error=row.stop_on_error,
        concurrency_max=row.concurrency_max,
        create_time=timestamp(row.created_at),
        end_time=timestamp(row.ended_at if row.is_over else None),
        user_id=row.user_id,
        labels=msgspec.json.decode(row.labels),
        charge=money.credits(row.charge_nanos),
    )


def _state(row: BatchRow) -> batches_pb2.BatchState.ValueType:
    if not row.is_over:
        return batches_pb2.BATCH_STATE_RUNNING
    if row.cancelled:
        return batches_pb2.BATCH_STATE_CANCELLED
    return batches_pb2.BATCH_STATE_STOPPED if row.stopped else batches_pb2.BATCH_STATE_COMPLETED
