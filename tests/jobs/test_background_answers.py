"""Answers that OpenAI makes in its own time: begun once, asked after, stopped when nobody wants them, paid once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, StartGateway, question, reason_of, text_of
from tests.fixtures.jobs import USER, create, ended
from tests.fixtures.until import until
from tests.fixtures.upstream import RESET, Answer, Received, Upstream
from trunkline.v1 import chat_pb2, jobs_pb2, usage_pb2
from trunkline_server.providers.builtin import openai
from trunkline_server.wire.openai_responses.background import BackgroundResponses

MODEL = "openai/gpt-5-mini"
ID = "resp_1"


@dataclass
class Office:
    """Says that it is at it until it is told that it is done, or has failed."""

    upstream: Upstream
    status: str = "queued"
    further: dict[str, Any] = field(default_factory=dict)

    def answer(self, asked: Received) -> Answer:
        told: dict[str, Any] = {"id": ID, "model": "gpt-5-mini", "status": self.status, **self.further}
        if asked.method == "POST" and not asked.path.endswith("/cancel"):
            told["status"] = "queued"
        elif self.status == "completed":
            said = {"type": "output_text", "text": "At last.", "annotations": []}
            told["output"] = [{"type": "message", "id": "msg_1", "role": "assistant", "content": [said]}]
            told["usage"] = {"input_tokens": 9, "output_tokens": 4}
        return self.upstream.whole(json=told)

    def count(self, method: str, path: str) -> int:
        """How often it was asked so."""
        return [(each.method, each.path) for each in self.upstream.requests].count((method, f"/v1{path}"))

    @property
    def polls(self) -> int:
        return self.count("GET", f"/responses/{ID}")

    @property
    def submissions(self) -> int:
        return self.count("POST", "/responses")

    @property
    def cancels(self) -> int:
        return self.count("POST", f"/responses/{ID}/cancel")


@pytest.fixture
async def office(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    """Whoever waits for it asks often."""
    monkeypatch.setitem(vars(openai.PROVIDER), "background", BackgroundResponses(poll_s=0.05))
    async with Upstream() as upstream:
        office = Office(upstream)
        upstream.respond(office.answer)
        yield office


@pytest.fixture
async def open_gateway(books: Books, start_gateway: StartGateway, office: Office) -> RunningGateway:
    return await start_gateway(environment(office))


def environment(office: Office) -> dict[str, str]:
    return {"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": f"{office.upstream.url}/v1"}


def asked(**fields: Any) -> chat_pb2.ChatInput:
    options = {"openai": json.dumps({"background": True})}
    return question("How does it end?", MODEL, provider_options_json=options, **fields)


async def complete(gateway: RunningGateway, **options: Any) -> chat_pb2.Completion:
    request = chat_pb2.CompleteRequest(input=asked())
    response: chat_pb2.CompleteResponse = await gateway.chat.Complete(
        request, metadata=gateway.metadata(USER), **options
    )
    return response.completion


async def begin(gateway: RunningGateway, **fields: Any) -> str:
    """A job, which the provider has begun."""
    return (await create(gateway, jobs_pb2.JobSpec(chat=asked()), **fields)).job_id


async def test_a_caller_waits_for_one(books: Books, open_gateway: RunningGateway, office: Office) -> None:
    office.status = "completed"
    completion = await complete(open_gateway)
    assert text_of(completion) == "At last."
    assert (completion.provider_response_id, completion.usage.source) == (ID, usage_pb2.USAGE_SOURCE_PROVIDER)
    assert (completion.usage.input_tokens, completion.usage.output_tokens) == (9, 4)
    body = office.upstream.requests[0].json()
    assert (body["background"], body["store"], "stream" in body) == (True, True, False)
    assert await books.charges() == [completion.charge.nanos] != [0]


async def test_a_stream_has_it_all_at_once(books: Books, open_gateway: RunningGateway, office: Office) -> None:
    office.status = "completed"
    request = chat_pb2.StreamRequest(input=asked())
    told = open_gateway.chat.Stream(request, metadata=open_gateway.metadata(USER))
    events = [response.event async for response in told]
    assert "".join(event.part_delta.text for event in events) == "At last."
    assert events[-1].completed.usage.output_tokens == 4
    assert (office.submissions, office.polls) == (1, 1)


async def test_without_the_word_nothing_is_asked_after(
    books: Books, open_gateway: RunningGateway, office: Office
) -> None:
    office.status = "completed"
    request = chat_pb2.CompleteRequest(input=question("Hello", MODEL))
    with pytest.raises(grpc.aio.AioRpcError):  # it says neither yes nor no to a chat completion
        await open_gateway.chat.Complete(request, metadata=open_gateway.metadata(USER))
    assert (office.submissions, office.polls) == (0, 0)


async def test_a_caller_who_leaves_has_it_stopped(books: Books, open_gateway: RunningGateway, office: Office) -> None:
    call = open_gateway.chat.Complete(chat_pb2.CompleteRequest(input=asked()), metadata=open_gateway.metadata(USER))
    await until(lambda: office.polls > 0)
    call.cancel()
    await until(lambda: office.cancels == 1)
    assert office.submissions == 1


async def test_the_deadline_has_it_stopped(books: Books, open_gateway: RunningGateway, office: Office) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await complete(open_gateway, timeout=2)
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: office.cancels == 1)


@pytest.mark.parametrize(
    ("status", "further"),
    [("failed", {"error": {"code": "server_error", "message": "no"}}), ("cancelled", {})],
)
async def test_one_that_fails_is_told(
    books: Books, open_gateway: RunningGateway, office: Office, status: str, further: dict[str, Any]
) -> None:
    office.status, office.further = status, further
    request = chat_pb2.CompleteRequest(input=asked(routing=chat_pb2.Routing(max_attempts=1)))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await open_gateway.chat.Complete(request, metadata=open_gateway.metadata(USER))
    assert reason_of(refused.value) == "PROVIDERS_EXHAUSTED"
    assert (office.submissions, office.cancels) == (1, 0)
    assert await books.charges() in ([], [0])


async def test_a_begin_without_an_answer_is_not_made_again(
    books: Books, open_gateway: RunningGateway, office: Office
) -> None:
    office.upstream.raw(RESET)
    with pytest.raises(grpc.aio.AioRpcError):
        await complete(open_gateway)
    assert office.submissions == 1


async def test_a_job_waits_for_one(books: Books, open_gateway: RunningGateway, office: Office) -> None:
    job_id = await begin(open_gateway)
    await until(lambda: office.polls > 0)
    office.status = "completed"
    job = await ended(open_gateway, job_id)
    assert job.state == jobs_pb2.JOB_STATE_SUCCEEDED, job.error
    assert text_of(job.result.completion) == "At last."
    assert office.submissions == 1
    assert await books.charges() == [job.charge.nanos] != [0]


async def test_a_lost_worker_is_followed_by_one_who_goes_on_asking(
    books: Books, open_gateway: RunningGateway, office: Office
) -> None:
    job_id = await begin(open_gateway)
    await until(lambda: office.polls > 0)
    await books.database.execute("UPDATE job SET leased_until = clock_timestamp() - interval '1 s'")
    await until(lambda: books.database.fetchval("SELECT rescues = 1 AND state = 'running' FROM job"))
    office.status = "completed"
    job = await ended(open_gateway, job_id)
    assert (job.state, job.rescue_count) == (jobs_pb2.JOB_STATE_SUCCEEDED, 1), job.error
    assert (office.submissions, office.cancels) == (1, 0)


async def test_a_worker_that_goes_away_leaves_it_to_the_next(
    books: Books, start_gateway: StartGateway, office: Office
) -> None:
    gateway = await start_gateway(environment(office), jobs={"worker": "false"})
    job_id = await begin(gateway)
    first = await gateway.house.background.begin_work()
    await until(lambda: office.polls > 0)
    await first.end()
    office.status = "completed"
    second = await gateway.house.background.begin_work()
    job = await ended(gateway, job_id)
    await second.end()
    assert (job.state, office.submissions, office.cancels) == (jobs_pb2.JOB_STATE_SUCCEEDED, 1, 0), job.error
    assert [row["basis"] for row in await books.usage()] == ["none", "provider_usage"]


async def test_a_job_that_is_cancelled_has_it_stopped(
    books: Books, open_gateway: RunningGateway, office: Office
) -> None:
    job_id = await begin(open_gateway)
    await until(lambda: office.polls > 0)
    await open_gateway.jobs.CancelJob(jobs_pb2.CancelJobRequest(job_id=job_id), metadata=open_gateway.metadata())
    assert (await ended(open_gateway, job_id)).state == jobs_pb2.JOB_STATE_CANCELLED
    await until(lambda: office.cancels == 1)


async def test_a_job_of_which_nobody_knows_whether_it_was_begun_fails(
    books: Books, open_gateway: RunningGateway, office: Office
) -> None:
    office.upstream.raw(RESET)
    job = await ended(open_gateway, await begin(open_gateway))
    assert (job.state, office.submissions) == (jobs_pb2.JOB_STATE_FAILED, 1)
    assert "not begun a second time" in job.error.message


async def test_output_that_has_to_be_repaired_is_asked_for_anew(
    books: Books, open_gateway: RunningGateway, office: Office
) -> None:
    """The second round is another response, although the first one stands in the journal."""
    office.status = "completed"
    wanted = asked()
    wanted.output_format.json_object.SetInParent()
    made = await create(open_gateway, jobs_pb2.JobSpec(chat=wanted), max_attempts=1)
    job = await ended(open_gateway, made.job_id)
    assert (job.state, office.submissions) == (jobs_pb2.JOB_STATE_FAILED, 2)
