"""Much work at once, with nobody waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping

from trunkline.aio.connection import AsyncConnection, AsyncEvents
from trunkline.aio.pending import AsyncPending
from trunkline.batch_item import BatchItem
from trunkline.question import Question
from trunkline.v1 import batches_pb2, batches_pb2_grpc
from trunkline.work import Work, spec_of


class AsyncBatches:
    """The batches of a gateway."""

    def __init__(self, connection: AsyncConnection, question: Question) -> None:
        self._connection = connection
        self._question = question
        self._stub = batches_pb2_grpc.BatchServiceStub(connection.channel)

    async def submit(
        self,
        items: Iterable[Work] | Mapping[str, Work],
        *,
        name: str = "",
        at_provider: bool = False,
        stop_on_error: bool = False,
        concurrency_max: int = 0,
        queue: str = "",
        priority: int = 0,
        labels: Mapping[str, str] | None = None,
    ) -> AsyncBatch:
        """Queues all or nothing. A mapping names its items. `at_provider`: within a day, for about half the price."""
        given = items.items() if isinstance(items, Mapping) else (("", item) for item in items)
        mode = batches_pb2.BATCH_MODE_PROVIDER if at_provider else batches_pb2.BATCH_MODE_GATEWAY
        request = batches_pb2.CreateBatchRequest(
            items=[batches_pb2.BatchItemSpec(custom_id=key, spec=spec_of(work, self._question)) for key, work in given],
            request_id=self._question.request_id,
            name=name,
            mode=mode,
            stop_on_error=stop_on_error,
            concurrency_max=concurrency_max,
            queue=queue,
            priority=priority,
            labels=labels,
        )
        made = await self._connection.look(self._stub.CreateBatch, request, user=self._question.user)
        return AsyncBatch(self._connection, made.batch)

    async def get(self, batch_id: str) -> AsyncBatch:
        found = await self._connection.look(self._stub.GetBatch, batches_pb2.GetBatchRequest(batch_id=batch_id))
        return AsyncBatch(self._connection, found.batch)

    async def list(self) -> AsyncIterator[AsyncBatch]:
        """Newest first."""
        async for page in self._connection.pages(self._stub.ListBatches, batches_pb2.ListBatchesRequest()):
            for batch in page.batches:
                yield AsyncBatch(self._connection, batch)


class AsyncBatch(AsyncPending):
    """A batch, as it was when it was last looked at."""

    def __init__(self, connection: AsyncConnection, batch: batches_pb2.Batch) -> None:
        super().__init__(connection)
        self._stub = batches_pb2_grpc.BatchServiceStub(connection.channel)
        self.batch = batch

    @property
    def batch_id(self) -> str:
        return self.batch.batch_id

    @property
    def state(self) -> str:
        """`RUNNING`, `COMPLETED`, `STOPPED` or `CANCELLED`."""
        return batches_pb2.BatchState.Name(self.batch.state).removeprefix("BATCH_STATE_")

    @property
    def has_ended(self) -> bool:
        return self.batch.state != batches_pb2.BATCH_STATE_RUNNING

    async def items(self) -> AsyncIterator[BatchItem]:
        """In their order, with what came of each."""
        request = batches_pb2.ListBatchItemsRequest(batch_id=self.batch_id)
        async for page in self._connection.pages(self._stub.ListBatchItems, request):
            for item in page.items:
                yield BatchItem(item)

    async def cancel(self) -> AsyncBatch:
        """Items that wait are not begun, those that run are stopped."""
        request = batches_pb2.CancelBatchRequest(batch_id=self.batch_id)
        self.batch = (await self._connection.look(self._stub.CancelBatch, request)).batch
        return self

    @property
    def _progress(self) -> tuple[float, str]:
        return self.batch.percentage / 100, self.state.lower()

    def _changes(self, left_s: float | None) -> AsyncEvents[batches_pb2.WatchBatchResponse]:
        request = batches_pb2.WatchBatchRequest(batch_id=self.batch_id)
        return self._connection.stream(self._stub.WatchBatch, request, timeout_s=left_s)

    def _take(self, change: batches_pb2.WatchBatchResponse) -> bool:
        self.batch = change.batch
        return True
