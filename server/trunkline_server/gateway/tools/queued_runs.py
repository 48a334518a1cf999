"""Runs the tools of a model as jobs: whichever worker takes one does it, and what it says comes back here.

The job of a caller who leaves is cancelled; that of a gateway that dies ends with the time of its call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from google.rpc import status_pb2

from trunkline.v1 import content_pb2, jobs_pb2, tools_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.gateway.jobs.orders import Orders, Wish, made
from trunkline_server.gateway.tools.runner import Ran, failed, retold
from trunkline_server.store.job import JobOrder, JobRow
from trunkline_server.store.jobs import Jobs
from trunkline_server.store.news import News, heard

PRIORITY: Final = 100
"""Somebody waits: before all other jobs of the tenant."""
LOOK_S: Final = 1.0
PAUSE_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class QueuedRuns:
    """`idle` is entered before a job is ordered, and left when it has ended."""

    orders: Orders
    jobs: Jobs
    news: News
    idle: Callable[[], AbstractAsyncContextManager[None]] = nullcontext

    async def run(self, call: Call, queue: str, called: content_pb2.ToolCallPart) -> Ran:
        """Never raises a TrunklineError: the model hears of it and goes on."""
        began = asyncio.get_running_loop().time()
        try:
            async with self.idle():
                return retold(await self._said(call, queue, called), called)
        except TrunklineError as error:
            return failed(called, error, asyncio.get_running_loop().time() - began)

    async def _said(self, call: Call, queue: str, called: content_pb2.ToolCallPart) -> tools_pb2.InvokeToolResponse:
        spec = jobs_pb2.JobSpec(tool=tools_pb2.ToolInvocation(tool=called.name, arguments_json=called.arguments_json))
        left_s = call.deadline - asyncio.get_running_loop().time()
        wish = Wish(queue=queue, priority=PRIORITY, max_attempts=1, life_s=max(left_s, 1.0))
        order = await self.orders.make(call, spec, wish)
        making = asyncio.ensure_future(self.jobs.enqueue(order))
        try:
            job_id = made(order, await asyncio.shield(making))
            return _said(await self._ended(call.caller.tenant_id, job_id))
        except asyncio.CancelledError:
            await asyncio.shield(self._cancelled(making, order))
            raise

    async def _ended(self, tenant_id: UUID, job_id: UUID) -> JobRow:
        with self.news.watched() as news:
            while True:
                news.clear()
                if (row := await self._over(tenant_id, job_id)) is not None:
                    return row
                await heard(news, LOOK_S)
                await asyncio.sleep(PAUSE_S)

    async def _over(self, tenant_id: UUID, job_id: UUID) -> JobRow | None:
        """None while it is not, and while the database does not say."""
        try:
            _, is_over = await self.jobs.revision(tenant_id, job_id)
            return await self.jobs.get(tenant_id, job_id) if is_over else None
        except TrunklineError as error:
            if error.reason is not Reason.STORE_UNAVAILABLE:
                raise
            return None

    async def _cancelled(self, making: Awaitable[object], order: JobOrder) -> None:
        """Not before it is made: an order that is on its way cannot be taken back."""
        with suppress(TrunklineError):
            await making
            await self.jobs.cancel(order.tenant_id, order.id)


def _said(row: JobRow) -> tools_pb2.InvokeToolResponse:
    """Raises what the job ended with."""
    if row.result is not None:
        return jobs_pb2.JobResult.FromString(row.result).tool
    why = status_pb2.Status.FromString(row.error or b"").message
    raise TrunklineError(Reason(row.error_reason), why or "the job of the tool ended without a result")
