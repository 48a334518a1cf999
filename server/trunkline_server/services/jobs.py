"""JobService: takes orders, tells how jobs stand, and lets callers stop and repeat them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from trunkline.v1 import chat_pb2, jobs_pb2
from trunkline_server.core import ids
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Describe, Reason, draining, invalid
from trunkline_server.core.moment import moment_of
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.text import readable
from trunkline_server.gateway.job_reports import job_message, stats_message
from trunkline_server.gateway.jobs.orders import Orders, Wish, made
from trunkline_server.store.jobs import Jobs
from trunkline_server.store.news import News, heard

LOOK_S: Final = 1.0
"""How often a watcher looks by itself, where no announcement comes."""
PAUSE_S: Final = 0.02
"""Changes that follow each other so closely are told as one."""
SCHEDULE_S_MAX: Final = 30 * 24 * 3600


@dataclass(frozen=True)
class JobService:
    """`describe` words the errors of jobs; `callback` judges where a job wants its changes told."""

    jobs: Jobs
    orders: Orders
    tokens: PageTokens
    news: News
    describe: Describe
    draining: Callable[[], bool]
    callback: Callable[[UUID, str], Awaitable[str]]

    async def create_job(self, call: Call, request: jobs_pb2.CreateJobRequest) -> jobs_pb2.CreateJobResponse:
        for key, value in request.labels.items():
            readable("labels", key), readable("labels", value)
        wish = Wish(
            queue=request.queue,
            priority=request.priority,
            wait_s=_wait_s(request),
            timeout_s=request.timeout.seconds,
            max_attempts=request.max_attempts,
            stream=request.stream,
            labels=request.labels,
            callback_uri=await self.callback(call.caller.tenant_id, request.callback_uri),
            callback_progress=request.callback_progress,
        )
        return jobs_pb2.CreateJobResponse(job=await self._make(call, request.spec, wish))

    async def get_job(self, call: Call, request: jobs_pb2.GetJobRequest) -> jobs_pb2.GetJobResponse:
        return jobs_pb2.GetJobResponse(job=await self._job(call, _job_id(request.job_id)))

    async def list_jobs(self, call: Call, request: jobs_pb2.ListJobsRequest) -> jobs_pb2.ListJobsResponse:
        tenant_id = call.caller.tenant_id
        paging = self.tokens.paging(tenant_id, request)
        rows = await self.jobs.page(
            tenant_id,
            before=paging.behind_id,
            state=jobs_pb2.JobState.Name(request.state).removeprefix("JOB_STATE_").lower() if request.state else "",
            queue=readable("queue", request.queue),
            user_id=readable("user_id", request.user_id),
            limit=paging.limit,
        )
        page, token = paging.cut(rows, lambda row: (row.id.hex,))
        return jobs_pb2.ListJobsResponse(jobs=[job_message(row, self.describe) for row in page], next_page_token=token)

    async def watch_job(
        self, call: Call, request: jobs_pb2.WatchJobRequest
    ) -> AsyncGenerator[jobs_pb2.WatchJobResponse, None]:
        tenant_id, job_id = call.caller.tenant_id, _job_id(request.job_id)
        revision, place = request.after_revision, request.after_chat_event
        with self.news.watched() as news:
            while not self.draining():
                news.clear()
                latest, is_over = await self.jobs.revision(tenant_id, job_id)
                while request.include_chat_events and (kept := await self.jobs.events_after(job_id, place)):
                    for place, attempt, event in kept:
                        yield _chat_event(place, attempt, event)
                if latest > revision:
                    job = await self._job(call, job_id)
                    revision = job.revision
                    yield jobs_pb2.WatchJobResponse(job=job)
                if is_over:
                    return
                await heard(news, LOOK_S)
                await asyncio.sleep(PAUSE_S)
        raise draining()

    async def cancel_job(self, call: Call, request: jobs_pb2.CancelJobRequest) -> jobs_pb2.CancelJobResponse:
        job_id = _job_id(request.job_id)
        await self.jobs.cancel(call.caller.tenant_id, job_id)
        return jobs_pb2.CancelJobResponse(job=await self._job(call, job_id))

    async def retry_job(self, call: Call, request: jobs_pb2.RetryJobRequest) -> jobs_pb2.RetryJobResponse:
        row = await self.jobs.get(call.caller.tenant_id, _job_id(request.job_id))
        if not row.is_over:
            raise invalid("job_id", "has not ended yet")
        if call.caller.user_id not in ("", row.user_id):
            raise invalid("job_id", "is of another user than your credential", Reason.FIELD_FORBIDDEN)
        call.user_id, call.account_id = row.user_id, row.account
        uri, with_progress = await self.jobs.callback(row.id)
        wish = Wish(
            queue=row.queue,
            priority=row.priority,
            timeout_s=row.timeout_s,
            max_attempts=row.max_attempts,
            stream=row.stream,
            labels=job_message(row, self.describe).labels,
            retry_of=row.id,
            callback_uri=uri,
            callback_progress=with_progress,
        )
        job = await self._make(call, jobs_pb2.JobSpec.FromString(row.spec), wish)
        return jobs_pb2.RetryJobResponse(job=job)

    async def get_job_stats(self, call: Call, request: jobs_pb2.GetJobStatsRequest) -> jobs_pb2.GetJobStatsResponse:
        since = moment_of("since_time", request.since_time) if request.HasField("since_time") else None
        counts = await self.jobs.stats(
            call.caller.tenant_id,
            user_id=readable("user_id", request.user_id),
            queue=readable("queue", request.queue),
            since=since,
        )
        return jobs_pb2.GetJobStatsResponse(stats=stats_message(counts))

    async def _make(self, call: Call, spec: jobs_pb2.JobSpec, wish: Wish) -> jobs_pb2.Job:
        order = await self.orders.make(call, spec, wish, call.idempotency_key)
        return await self._job(call, made(order, await self.jobs.enqueue(order)))

    async def _job(self, call: Call, job_id: UUID) -> jobs_pb2.Job:
        return job_message(await self.jobs.get(call.caller.tenant_id, job_id), self.describe)


def _job_id(text: str) -> UUID:
    return ids.require("job", "job", text)


def _wait_s(request: jobs_pb2.CreateJobRequest) -> float:
    if not request.HasField("schedule_time"):
        return 0.0
    wait_s = (moment_of("schedule_time", request.schedule_time) - datetime.now(UTC)).total_seconds()
    if wait_s > SCHEDULE_S_MAX:
        raise invalid("schedule_time", "must be within 30 days")
    return max(wait_s, 0.0)


def _chat_event(place: int, attempt: int, event: bytes) -> jobs_pb2.WatchJobResponse:
    told = jobs_pb2.JobChatEvent(place=place, attempt=attempt, event=chat_pb2.ChatEvent.FromString(event))
    return jobs_pb2.WatchJobResponse(chat_event=told)
