"""Tools as jobs: asked for as such, or called by a model whose tools run on a queue."""

from __future__ import annotations

import asyncio
import json
from uuid import UUID

import pytest

from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, StartGateway, text_of
from tests.fixtures.jobs import USER, create, ended
from tests.fixtures.refusal import Refusal, invalid, refusal
from tests.fixtures.tooling import complete, kinds, near, register, results, scripted, streamed, using
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream
from trunkline.v1 import admin_pb2, chat_pb2, jobs_pb2, tools_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.store.jobs import Jobs

CALL = ("add", {"a": 1, "b": 2})
QUEUE = "workshop"
SUCCEEDED, FAILED, CANCELLED = (
    jobs_pb2.JOB_STATE_SUCCEEDED,
    jobs_pb2.JOB_STATE_FAILED,
    jobs_pb2.JOB_STATE_CANCELLED,
)


@pytest.fixture
async def gateway(start_gateway: StartGateway, upstream: Upstream) -> RunningGateway:
    """With a tool that always says 3."""
    gateway = await near(start_gateway, upstream, parallel_max=2, rounds_max=1)
    await register(gateway, upstream.url)
    upstream.respond(lambda _: upstream.whole(json={"sum": 3}))
    return gateway


def work(tool: str = "add", **arguments: int) -> jobs_pb2.JobSpec:
    arguments_json = json.dumps(arguments or {"a": 1, "b": 2})
    return jobs_pb2.JobSpec(tool=tools_pb2.ToolInvocation(tool=tool, arguments_json=arguments_json))


async def queued(gateway: RunningGateway) -> list[jobs_pb2.Job]:
    request = jobs_pb2.ListJobsRequest(queue=QUEUE)
    return list((await gateway.jobs.ListJobs(request, metadata=gateway.metadata())).jobs)


async def test_a_tool_is_run_by_a_job_and_is_free(books: Books, gateway: RunningGateway) -> None:
    job = await ended(gateway, (await create(gateway, work())).job_id)
    assert job.state == SUCCEEDED
    assert job.result.tool.result.structured_json == '{"sum": 3}'
    assert job.result.tool.outcome.result_byte_count > 0
    assert job.charge.nanos == 0
    assert await books.charges() == []


async def test_what_cannot_be_run_is_said_when_it_is_ordered(gateway: RunningGateway) -> None:
    assert await refusal(create(gateway, work("nobody"))) == Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert await refusal(create(gateway, work("no__body"))) == Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert await refusal(create(gateway, work(a=1))) == invalid("arguments_json")
    asked = admin_pb2.CreateApiKeyRequest(name="worker", scopes=["jobs:write"])
    made = await gateway.admin.CreateApiKey(asked, metadata=gateway.metadata())
    request = jobs_pb2.CreateJobRequest(spec=work())
    heard = await refusal(gateway.jobs.CreateJob(request, metadata=gateway.metadata(key=made.secret)))
    assert heard == Refusal("PERMISSION_DENIED", "SCOPE_MISSING")


async def test_a_tool_whose_worker_was_lost_hears_the_same_call_again(
    books: Books, gateway: RunningGateway, upstream: Upstream
) -> None:
    asked = upstream.hang()
    job = await create(gateway, work())
    await asked.asked()
    await books.database.execute("UPDATE job SET leased_until = clock_timestamp() - interval '1 s'")
    job = await ended(gateway, job.job_id)
    assert (job.state, job.rescue_count) == (SUCCEEDED, 1)
    first, second = (request.headers["webhook-id"] for request in upstream.requests)
    assert first == second


async def test_a_model_calls_tools_that_run_elsewhere(books: Books, gateway: RunningGateway) -> None:
    here, there = using("add"), using("add", tool_queue=QUEUE)
    answer = await complete(gateway, there)
    assert text_of(answer) == text_of(await complete(gateway, here))
    (called, result, _) = answer.candidates[0].message.parts
    assert result.tool_result.call_id == called.tool_call.call_id
    [run] = answer.tool_rounds[0].runs
    assert (run.call_id, run.state) == (called.tool_call.call_id, chat_pb2.TOOL_RUN_STATE_SUCCEEDED)
    assert [(job.state, job.user_id) for job in await queued(gateway)] == [(SUCCEEDED, USER)]


async def test_a_database_that_is_away_for_a_moment_is_asked_again(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, looks = Jobs.revision, iter((True,))

    async def revision(jobs: Jobs, tenant_id: UUID, job_id: UUID) -> tuple[int, bool]:
        if next(looks, False):
            raise TrunklineError(Reason.STORE_UNAVAILABLE, "the store does not answer, try again")
        return await look(jobs, tenant_id, job_id)

    monkeypatch.setattr(Jobs, "revision", revision)
    answer = await complete(gateway, using("add", tool_queue=QUEUE))
    assert text_of(answer) == 'The tool says: {"sum": 3}'
    assert next(looks, None) is None


async def test_no_more_run_elsewhere_than_may_run_at_once(gateway: RunningGateway, upstream: Upstream) -> None:
    go = asyncio.Event()
    for _ in range(3):
        upstream.stream([b"{", go, b"}"], content_type="application/json")
    asking = asyncio.create_task(complete(gateway, scripted(CALL, CALL, CALL, tool_queue=QUEUE)))
    await until(lambda: len(upstream.requests) == 2)
    assert len(await queued(gateway)) == 2
    go.set()
    assert [result.structured_json for result in results(await asking)] == ["{}"] * 3


async def test_the_model_hears_what_went_wrong_elsewhere(gateway: RunningGateway, upstream: Upstream) -> None:
    upstream.respond(lambda _: upstream.whole(b"secret words", status=500))
    answer = await complete(gateway, scripted(CALL, ("add", {"a": 1}), tool_queue=QUEUE, max_tool_rounds=1))
    broken, wrong = answer.tool_rounds[0].runs
    assert (broken.failure_reason, wrong.failure_reason) == ("TOOL_FAILED", "VALIDATION")
    assert all(result.is_error for result in results(answer))
    assert "secret words" not in str(answer)
    assert [job.state for job in await queued(gateway)] == [FAILED]


async def test_a_caller_who_leaves_stops_what_runs_elsewhere(gateway: RunningGateway, upstream: Upstream) -> None:
    asked = upstream.hang()
    asking = asyncio.create_task(streamed(gateway, using("add", tool_queue=QUEUE)))
    await asked.asked()
    asking.cancel()
    await asked.client_left()
    [job] = await queued(gateway)
    assert (await ended(gateway, job.job_id)).state == CANCELLED


async def test_what_needs_approval_waits_for_it(gateway: RunningGateway, upstream: Upstream) -> None:
    await register(gateway, upstream.url, "wipe", needs_approval=True)
    input = using("wipe", tool_queue=QUEUE)
    said = (await complete(gateway, input)).candidates[0].message
    assert await queued(gateway) == []
    called = said.parts[0].tool_call
    input.messages.append(said)
    input.tool_approvals.add(call_id=called.call_id, approval_token=called.approval_token, approved=True)
    assert kinds(await complete(gateway, input)) == ["tool_result", "text"]
    assert [job.state for job in await queued(gateway)] == [SUCCEEDED]


async def test_a_job_that_waits_for_a_tool_leaves_its_place_to_it(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    hosts = json.dumps([f"127.0.0.1:{upstream.port}"])
    gateway = await start_gateway(
        jobs={"concurrency": "1", "tenant_running_max": "1", "user_running_max": "1"},
        egress={"allow_http_hosts": hosts, "allow_private_hosts": hosts},
    )
    await register(gateway, upstream.url)
    upstream.respond(lambda _: upstream.whole(json={"sum": 3}))
    job = await ended(gateway, (await create(gateway, jobs_pb2.JobSpec(chat=using("add", tool_queue=QUEUE)))).job_id)
    assert text_of(job.result.completion) == 'The tool says: {"sum": 3}'
    assert [each.state for each in await queued(gateway)] == [SUCCEEDED]
