"""JobService over the socket: from the order to the end, and the money that goes with it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from tests.fixtures.books import Books
from tests.fixtures.dialects import DIALECTS
from tests.fixtures.gateway import RunningGateway, StartGateway, reason_of, text_of
from tests.fixtures.jobs import create, ended, get, spec, until_state, watched
from tests.fixtures.refusal import send, wording
from tests.fixtures.talks import another_tenant
from tests.fixtures.upstream import Upstream
from trunkline.v1 import jobs_pb2
from trunkline_server.store.jobs import Jobs

NOBODYS = "job_00000000000070008000000000000000"
LONG: dict[str, Any] = {"text": "one two three four", "first_token_ms": 30_000}


async def test_a_job_comes_to_its_result_and_its_bill(books: Books, gateway: RunningGateway) -> None:
    made = await create(gateway, spec("Hello out there"), labels={"for": "test"})
    job = await ended(gateway, made.job_id)

    assert (job.state, job.attempt_count) == (jobs_pb2.JOB_STATE_SUCCEEDED, 1)
    assert text_of(job.result.completion) == "Hello out there"
    assert job.spec == spec("Hello out there")
    assert (job.labels["for"], job.user_id, job.queue) == ("test", "ada", "default")
    assert [job.charge.nanos] == await books.charges()
    assert job.charge.nanos == job.result.completion.charge.nanos > 0
    assert job.usage.output_tokens == 3
    assert job.start_time.ToDatetime() <= job.end_time.ToDatetime()


async def test_the_money_is_held_from_the_order_on(books: Books, start_gateway: StartGateway) -> None:
    gateway = await start_gateway(jobs={"worker": "false"})
    job = await create(gateway, spec())

    assert await books.held() > 0
    cancelled = await gateway.jobs.CancelJob(jobs_pb2.CancelJobRequest(job_id=job.job_id), metadata=gateway.metadata())
    assert cancelled.job.state == jobs_pb2.JOB_STATE_CANCELLED
    assert await books.held() == 0


async def test_an_order_that_cannot_be_paid_for_makes_no_job(books: Books, start_gateway: StartGateway) -> None:
    gateway = await start_gateway(credits={"default_grant": "0"})
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await create(gateway, spec())

    assert reason_of(refused.value) == "CREDIT_INSUFFICIENT"
    assert await books.database.fetchval("SELECT count(*) FROM job") == 0


async def test_an_order_is_refused_as_the_call_would_be(gateway: RunningGateway) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await create(gateway, spec(model="sandbox/nothing"))
    assert reason_of(refused.value) == "MODEL_NOT_FOUND"


async def test_a_request_id_makes_one_job(books: Books, gateway: RunningGateway) -> None:
    first = await create(gateway, spec(), request_id="once")
    await books.database.execute("DELETE FROM idempotency")
    second = await create(gateway, spec(), request_id="once")
    assert first.job_id == second.job_id
    await books.database.execute("DELETE FROM idempotency")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await create(gateway, spec("Something else"), request_id="once")
    assert reason_of(refused.value) == "IDEMPOTENCY_KEY_REUSED"
    await ended(gateway, first.job_id)
    assert len(await books.charges()) == 1


async def test_a_job_waits_for_its_time(books: Books, gateway: RunningGateway) -> None:
    at = datetime.now(UTC) + timedelta(seconds=1)
    job = await create(gateway, spec(), schedule_time=at)
    assert (job.state, job.delay_reason) == (jobs_pb2.JOB_STATE_DELAYED, jobs_pb2.DELAY_REASON_SCHEDULED)
    done = await ended(gateway, job.job_id)
    assert done.state == jobs_pb2.JOB_STATE_SUCCEEDED
    assert done.start_time.ToDatetime(UTC) >= at - timedelta(milliseconds=1)


async def test_a_failure_that_passes_is_tried_again(books: Books, gateway: RunningGateway) -> None:
    job = await create(gateway, spec(times=4, status=500), max_attempts=3)
    done = await ended(gateway, job.job_id)
    assert (done.state, done.attempt_count) == (jobs_pb2.JOB_STATE_SUCCEEDED, 2)
    assert await books.charges() == [done.charge.nanos]


async def test_a_worker_goes_on_after_what_nobody_foresaw(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready_queues, failures = Jobs.ready_queues, [ValueError("canary")]

    async def failing(self: Jobs) -> Sequence[str]:
        if failures:
            raise failures.pop()
        return await ready_queues(self)

    monkeypatch.setattr(Jobs, "ready_queues", failing)
    job = await ended(gateway, (await create(gateway, spec())).job_id)
    assert (job.state, failures) == (jobs_pb2.JOB_STATE_SUCCEEDED, [])


async def test_a_failure_that_stays_ends_the_job(books: Books, gateway: RunningGateway) -> None:
    job = await create(gateway, spec(model="sandbox/down"), max_attempts=1)
    done = await ended(gateway, job.job_id)
    assert (done.state, done.attempt_count) == (jobs_pb2.JOB_STATE_FAILED, 1)
    assert done.error.code == grpc.StatusCode.UNAVAILABLE.value[0]
    assert await books.charges() == []


async def test_a_limit_takes_no_attempt_away(books: Books, gateway: RunningGateway) -> None:
    job = await create(gateway, spec(model="sandbox/throttled"), max_attempts=1)
    waiting = await until_state(gateway, job.job_id, jobs_pb2.JOB_STATE_DELAYED)
    assert (waiting.delay_reason, waiting.attempt_count) == (jobs_pb2.DELAY_REASON_RATE_LIMITED, 0)
    assert waiting.HasField("next_attempt_time")
    await gateway.jobs.CancelJob(jobs_pb2.CancelJobRequest(job_id=job.job_id), metadata=gateway.metadata())
    assert (await ended(gateway, job.job_id)).state == jobs_pb2.JOB_STATE_CANCELLED


async def test_cancelling_reaches_the_running_call(books: Books, gateway: RunningGateway) -> None:
    job = await create(gateway, spec(**LONG))
    await until_state(gateway, job.job_id, jobs_pb2.JOB_STATE_RUNNING)
    await gateway.jobs.CancelJob(jobs_pb2.CancelJobRequest(job_id=job.job_id), metadata=gateway.metadata())
    done = await ended(gateway, job.job_id)
    assert done.state == jobs_pb2.JOB_STATE_CANCELLED
    assert done.charge.nanos == sum(await books.charges())
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.jobs.CancelJob(jobs_pb2.CancelJobRequest(job_id=job.job_id), metadata=gateway.metadata())
    assert reason_of(refused.value) == "JOB_FINAL"


async def test_cancelling_closes_the_providers_socket(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    """Within a second where nothing else is to do; the limit here is for machines that have much to do."""
    openai = DIALECTS[0]
    gateway = await start_gateway(openai.environment(upstream.url))
    hanging = upstream.hang()
    job = await create(gateway, spec(model=openai.name))
    await hanging.asked()
    asked_at = time.monotonic()
    await gateway.jobs.CancelJob(jobs_pb2.CancelJobRequest(job_id=job.job_id), metadata=gateway.metadata())
    assert await hanging.client_left() - asked_at < 5
    assert (await ended(gateway, job.job_id)).state == jobs_pb2.JOB_STATE_CANCELLED
    assert len(upstream.requests) == 1


async def test_a_strangers_job_is_as_unknown_as_none(books: Books, gateway: RunningGateway) -> None:
    stranger = await another_tenant(gateway)
    job = await create(gateway, spec(**LONG))
    await until_state(gateway, job.job_id, jobs_pb2.JOB_STATE_RUNNING)
    for method, request in {
        "GetJob": jobs_pb2.GetJobRequest,
        "WatchJob": jobs_pb2.WatchJobRequest,
        "CancelJob": jobs_pb2.CancelJobRequest,
        "RetryJob": jobs_pb2.RetryJobRequest,
    }.items():
        path = f"/trunkline.v1.JobService/{method}"
        foreign, unknown = [
            await wording(send(gateway.channel, path, request(job_id=each), stranger)) for each in (job.job_id, NOBODYS)
        ]
        assert foreign == unknown.replace(NOBODYS, job.job_id)
        assert "RESOURCE_NOT_FOUND" in foreign
    assert not (await gateway.jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=stranger)).jobs
    counted = await gateway.jobs.GetJobStats(jobs_pb2.GetJobStatsRequest(), metadata=stranger)
    assert counted.stats.total_count == 0
    assert (await get(gateway, job.job_id)).state == jobs_pb2.JOB_STATE_RUNNING
    await gateway.jobs.CancelJob(jobs_pb2.CancelJobRequest(job_id=job.job_id), metadata=gateway.metadata())


async def test_what_a_cancelled_call_has_said_is_charged(books: Books, gateway: RunningGateway) -> None:
    job = await create(gateway, spec("one two three four", pace_ms=200), stream=True)
    request = jobs_pb2.WatchJobRequest(job_id=job.job_id, include_chat_events=True)
    async for told in gateway.jobs.WatchJob(request, metadata=gateway.metadata(), timeout=40):
        if told.chat_event.event.HasField("part_delta"):
            break
    await gateway.jobs.CancelJob(jobs_pb2.CancelJobRequest(job_id=job.job_id), metadata=gateway.metadata())
    done = await ended(gateway, job.job_id)
    assert done.state == jobs_pb2.JOB_STATE_CANCELLED
    assert [done.charge.nanos] == await books.charges() != [0]


async def test_retrying_makes_a_new_job(books: Books, gateway: RunningGateway) -> None:
    job = await create(gateway, spec())
    running = await create(gateway, spec(**LONG))
    with pytest.raises(grpc.aio.AioRpcError):
        await gateway.jobs.RetryJob(jobs_pb2.RetryJobRequest(job_id=running.job_id), metadata=gateway.metadata())
    await gateway.jobs.CancelJob(jobs_pb2.CancelJobRequest(job_id=running.job_id), metadata=gateway.metadata())
    await ended(gateway, running.job_id)
    await ended(gateway, job.job_id)
    again = await gateway.jobs.RetryJob(jobs_pb2.RetryJobRequest(job_id=job.job_id), metadata=gateway.metadata())
    assert again.job.job_id != job.job_id
    assert (again.job.retry_of_job_id, again.job.user_id) == (job.job_id, "ada")
    assert (await ended(gateway, again.job.job_id)).state == jobs_pb2.JOB_STATE_SUCCEEDED


async def test_watching_goes_on_behind_a_revision(books: Books, gateway: RunningGateway) -> None:
    job = await create(gateway, spec())
    told = [each.job for each in await watched(gateway, job.job_id)]
    revisions = [each.revision for each in told]
    assert revisions == sorted(set(revisions))
    assert [each.progress.fraction for each in told] == sorted(each.progress.fraction for each in told)
    assert await watched(gateway, job.job_id, after_revision=revisions[-1]) == []


async def test_the_answer_can_be_watched_as_it_comes(books: Books, gateway: RunningGateway) -> None:
    job = await create(gateway, spec("one two three"), stream=True)
    told = await watched(gateway, job.job_id, include_chat_events=True)
    events = [each.chat_event for each in told if each.HasField("chat_event")]
    texts = [each.event.part_delta.text for each in events if each.event.HasField("part_delta")]
    done = told[-1].job
    assert "".join(texts) == text_of(done.result.completion) == "one two three"
    assert done.result.completion.usage == done.usage
    assert [each.place for each in events] == sorted(each.place for each in events)
    rest = await watched(gateway, job.job_id, include_chat_events=True, after_chat_event=events[1].place)
    assert [each.chat_event for each in rest if each.HasField("chat_event")] == events[2:]


async def test_lists_and_statistics_are_the_tenants_own(books: Books, gateway: RunningGateway) -> None:
    made = [(await create(gateway, spec(), user=user)).job_id for user in ("ada", "ada", "bob")]
    for job_id in made:
        await ended(gateway, job_id)
    request = jobs_pb2.ListJobsRequest(page_size=2)
    first = await gateway.jobs.ListJobs(request, metadata=gateway.metadata())
    request.page_token = first.next_page_token
    second = await gateway.jobs.ListJobs(request, metadata=gateway.metadata())
    assert [job.job_id for job in (*first.jobs, *second.jobs)] == made[::-1]
    assert not first.jobs[0].HasField("spec")
    stats = await gateway.jobs.GetJobStats(jobs_pb2.GetJobStatsRequest(user_id="ada"), metadata=gateway.metadata())
    assert (stats.stats.total_count, stats.stats.succeeded_count, stats.stats.success_rate) == (2, 2, 1.0)
    assert stats.stats.HasField("average_run_duration")
    for unknown in (NOBODYS, "nonsense"):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await get(gateway, unknown)
        assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"
