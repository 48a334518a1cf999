"""Batches in mode PROVIDER over the socket: handed in once, whatever happens to workers, and paid for as such."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
import pytest

from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, StartGateway, reason_of, text_of
from tests.fixtures.jobs import spec
from tests.fixtures.until import until
from tests.fixtures.upstream import RESET, Answer, Received, Upstream
from tests.jobs.test_batches import create, items, total, watched
from trunkline.v1 import batches_pb2, embeddings_pb2, images_pb2, jobs_pb2, limits_pb2, usage_pb2
from trunkline_server.providers.builtin import openai
from trunkline_server.wire.openai_bulk import OpenAIBulk

PROVIDER = batches_pb2.BATCH_MODE_PROVIDER
COMPLETED, CANCELLED = batches_pb2.BATCH_STATE_COMPLETED, batches_pb2.BATCH_STATE_CANCELLED
MODEL = "openai/gpt-4o-mini"


async def test_a_batch_is_done_for_half_the_price(books: Books, gateway: RunningGateway) -> None:
    specs = [spec("one two"), spec(fault={"kind": "status", "status": 400}), spec("three")]
    made = await create(gateway, specs, mode=PROVIDER)
    told = await watched(gateway, made.batch_id)
    assert (told[-1].state, told[-1].mode) == (COMPLETED, PROVIDER)
    assert {total(each.progress) for each in told} == {3}
    first, bad, third = await items(gateway, made.batch_id)
    assert [text_of(each.result.completion) for each in (first, third)] == ["one two", "three"]
    assert "PROVIDER_REJECTED" in str(bad.error)
    completion = first.result.completion
    assert completion.price_version.endswith("@50%")

    alone = await create(gateway, [spec("one two")])
    [whole] = (await watched(gateway, alone.batch_id))[-1:]
    assert completion.charge.nanos * 2 - whole.charge.nanos in (0, 1)
    assert sorted(await books.charges()) == sorted([first.charge.nanos, third.charge.nanos, whole.charge.nanos])


def texts(model: str, *wanted: str) -> jobs_pb2.JobSpec:
    return jobs_pb2.JobSpec(embed=embeddings_pb2.EmbedInput(model=model, texts=wanted))


async def test_texts_are_embedded_for_half_the_price(books: Books, gateway: RunningGateway) -> None:
    many = [f"text {n}" for n in range(3000)]
    specs = [texts("sandbox/embed", "one", "two"), texts("sandbox/embed", *many), texts("sandbox/embed", "three")]
    made = await create(gateway, specs, mode=PROVIDER)
    told = (await watched(gateway, made.batch_id))[-1]
    assert (told.progress.succeeded_count, told.progress.failed_count) == (2, 1)
    first, large, third = await items(gateway, made.batch_id)
    assert [len(each.result.embed.embeddings) for each in (first, third)] == [2, 1]
    assert "one request" in large.error.message
    assert first.result.embed.receipt.price_version.endswith("@50%")

    alone = await create(gateway, [texts("sandbox/embed", "one", "two")])
    await watched(gateway, alone.batch_id)
    [whole] = await items(gateway, alone.batch_id)
    assert first.result.embed.embeddings == whole.result.embed.embeddings
    assert first.charge.nanos * 2 - whole.charge.nanos in (0, 1)
    assert sorted(await books.charges()) == sorted([first.charge.nanos, third.charge.nanos, whole.charge.nanos])
    assert {row["operation"] for row in await books.usage() if row["charge_nanos"]} == {"embed"}


async def test_who_asks_again_gets_the_same(books: Books, gateway: RunningGateway) -> None:
    first = await create(gateway, [spec("one")], mode=PROVIDER, request_id="twice")
    again = await create(gateway, [spec("one")], mode=PROVIDER, request_id="twice")
    assert first.batch_id == again.batch_id
    await watched(gateway, first.batch_id)


async def test_only_what_is_there_to_pay_for(books: Books, start_gateway: StartGateway) -> None:
    gateway = await start_gateway(credits={"default_grant": "0.0001"})
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await create(gateway, [spec("one")] * 3, mode=PROVIDER)
    assert reason_of(refused.value) == "CREDIT_INSUFFICIENT"
    assert await books.database.fetchval("SELECT count(*) FROM job") == 0


@pytest.mark.parametrize(
    ("specs", "fields", "reason"),
    [
        ([spec("one"), spec("two", "sandbox/count")], {}, "VALIDATION"),
        (
            [jobs_pb2.JobSpec(image=images_pb2.ImageInput(model="sandbox/picture", prompt="a"))],
            {},
            "CAPABILITY_UNSUPPORTED",
        ),
        ([texts("gemini/gemini-embedding-001", "a")], {}, "CAPABILITY_UNSUPPORTED"),
        ([spec("one", "groq/llama-3.3-70b-versatile")], {}, "CAPABILITY_UNSUPPORTED"),
        ([spec("one")], {"stop_on_error": True}, "VALIDATION"),
        ([spec("one")], {"concurrency_max": 2}, "VALIDATION"),
    ],
)
async def test_what_no_provider_takes_is_refused(
    start_gateway: StartGateway, specs: list[jobs_pb2.JobSpec], fields: dict[str, Any], reason: str
) -> None:
    gateway = await start_gateway({"GROQ_API_KEY": "k", "GEMINI_API_KEY": "k"})
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await create(gateway, specs, mode=PROVIDER, **fields)
    assert reason_of(refused.value) == reason


async def test_rounds_of_tools_are_not_for_providers_own_batches(gateway: RunningGateway) -> None:
    asked = spec("one")
    asked.chat.tools.add(tool_id="add")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await create(gateway, [asked], mode=PROVIDER)
    assert reason_of(refused.value) == "CAPABILITY_UNSUPPORTED"


async def test_what_a_guard_masks_could_not_be_put_back(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(guard={"input_personal_data": "standard"})
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await create(gateway, [spec("write to ann@example.org")], mode=PROVIDER)
    assert reason_of(refused.value) == "CAPABILITY_UNSUPPORTED"


async def test_its_carrier_is_nobodys(books: Books, gateway: RunningGateway) -> None:
    made = await create(gateway, [spec("one")], mode=PROVIDER)
    await watched(gateway, made.batch_id)
    listed = await gateway.jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=gateway.metadata())
    assert [job.batch_id for job in listed.jobs] == [made.batch_id]
    stats = await gateway.jobs.GetJobStats(jobs_pb2.GetJobStatsRequest(), metadata=gateway.metadata())
    assert stats.stats.total_count == 1


@dataclass
class Office:
    """OpenAI's files and batches: in progress until it is told how it ends."""

    upstream: Upstream
    status: str = "in_progress"
    silent: set[str] = field(default_factory=set)
    lines: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, asked: Received) -> Answer:
        if asked.path.endswith("/content"):
            return self.upstream.whole(b"\n".join(map(self._result, self._answered)))
        return self.upstream.whole(json=self._told(asked))

    @property
    def _answered(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["custom_id"] not in self.silent]

    def _told(self, asked: Received) -> dict[str, Any]:
        if asked.path == "/v1/files":
            _, _, content = asked.body.partition(b"application/jsonl\r\n\r\n")
            self.lines = [json.loads(line) for line in content.partition(b"\r\n--")[0].splitlines()]
            return {"id": "file-1"}
        if asked.path.endswith("/cancel"):
            self.status = "cancelled"
        if self.status == "failed":
            return {"id": "batch_1", "status": "failed", "errors": {"data": [{"code": "token_limit_exceeded"}]}}
        return {"id": "batch_1", "status": self.status, "output_file_id": "file-2"}

    def _result(self, line: dict[str, Any]) -> bytes:
        message = {"role": "assistant", "content": line["body"]["messages"][0]["content"].upper()}
        body = {
            "id": "chatcmpl-1",
            "model": "gpt-4o-mini",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000},
        }
        response = {"status_code": 200, "body": body}
        return json.dumps({"custom_id": line["custom_id"], "response": response, "error": None}).encode()

    def count(self, method: str, ending: str) -> int:
        """How often it was asked so."""
        return sum(each.method == method and each.path.endswith(ending) for each in self.upstream.requests)


@pytest.fixture
async def office(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    """It is asked often."""
    monkeypatch.setitem(cast("Any", openai.PROVIDER.__dict__), "bulk", OpenAIBulk(poll_s=0.05))
    async with Upstream() as upstream:
        office = Office(upstream)
        upstream.respond(office.answer)
        yield office


def environment(office: Office) -> dict[str, str]:
    return {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{office.upstream.url}/v1"}


@pytest.fixture
async def busy(start_gateway: StartGateway, office: Office) -> RunningGateway:
    return await start_gateway(environment(office))


async def hand_in(gateway: RunningGateway, count: int = 3) -> batches_pb2.Batch:
    return await create(gateway, [spec(f"text {number}", MODEL) for number in range(count)], mode=PROVIDER)


async def until_asked(office: Office, times: int = 1) -> None:
    await until(lambda: office.count("GET", "/batches/batch_1") >= times)


async def test_a_lost_worker_is_followed_by_one_who_goes_on_asking(
    books: Books, start_gateway: StartGateway, office: Office
) -> None:
    door = await start_gateway(environment(office), jobs={"worker": "false"})
    made = await hand_in(door)
    first = await door.house.background.begin_work()
    await until_asked(office)
    await first.end()
    running = await door.batches.GetBatch(batches_pb2.GetBatchRequest(batch_id=made.batch_id), metadata=door.metadata())
    assert running.batch.progress.running_count == 3
    office.status = "completed"
    second = await door.house.background.begin_work()
    done = (await watched(door, made.batch_id))[-1]
    await second.end()
    assert (done.progress.succeeded_count, office.count("POST", "/batches")) == (3, 1)
    found = await items(door, made.batch_id)
    assert [text_of(each.result.completion) for each in found] == ["TEXT 0", "TEXT 1", "TEXT 2"]
    # 1000 tokens in for 0.075 USD a million, 1000 out for 0.30: half of what single calls cost
    assert [each.charge.nanos for each in found] == [375_000] * 3 == await books.charges()


async def test_answers_that_break_off_are_fetched_again_and_paid_once(
    books: Books, busy: RunningGateway, office: Office
) -> None:
    made = await hand_in(busy)
    await until_asked(office)
    whole = b"\n".join(map(office._result, office.lines))
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(whole)}\r\n\r\n".encode()
    fetches = iter([Answer([head + whole[: len(whole) // 2], RESET], keep_alive=False)])

    def answer(asked: Received) -> Answer:
        return (asked.path.endswith("/content") and next(fetches, None)) or office.answer(asked)

    office.upstream.respond(answer)
    office.status = "completed"
    done = (await watched(busy, made.batch_id))[-1]
    assert done.progress.succeeded_count == 3
    assert office.count("GET", "/content") == 2
    assert len(await books.charges()) == 3


async def test_a_submission_without_an_answer_is_not_made_again(
    books: Books, busy: RunningGateway, office: Office
) -> None:
    office.upstream.reply(json={"id": "file-1"})
    office.upstream.raw(RESET)
    made = await hand_in(busy)
    done = (await watched(busy, made.batch_id))[-1]
    assert (done.progress.failed_count, office.count("POST", "/batches")) == (3, 1)
    assert "not begun a second time" in (await items(busy, made.batch_id))[0].error.message
    assert await books.charges() == []


async def test_a_provider_that_is_busy_is_asked_later(books: Books, busy: RunningGateway, office: Office) -> None:
    office.upstream.reply(status=429, json={"error": {"code": "rate_limit_exceeded"}}, headers={"retry-after": "1"})
    office.status = "completed"
    made = await hand_in(busy)
    assert (await watched(busy, made.batch_id))[-1].progress.succeeded_count == 3


async def test_cancelling_stops_it_there_and_pays_what_was_done(
    books: Books, busy: RunningGateway, office: Office
) -> None:
    office.silent = {"1", "2"}
    made = await hand_in(busy)
    await until_asked(office)
    await busy.batches.CancelBatch(batches_pb2.CancelBatchRequest(batch_id=made.batch_id), metadata=busy.metadata())
    done = (await watched(busy, made.batch_id))[-1]
    assert office.count("POST", "/cancel") >= 1
    assert done.state == CANCELLED
    assert (done.progress.succeeded_count, done.progress.cancelled_count) == (1, 2)
    assert await books.charges() == [375_000]


@pytest.mark.parametrize(("status", "reason"), [("expired", "JOB_EXPIRED"), ("completed", "PROVIDERS_EXHAUSTED")])
async def test_what_the_provider_did_not_come_to_fails(
    books: Books, busy: RunningGateway, office: Office, status: str, reason: str
) -> None:
    office.silent, office.status = {"0"}, status
    made = await hand_in(busy)
    done = (await watched(busy, made.batch_id))[-1]
    assert (done.progress.failed_count, done.progress.succeeded_count) == (1, 2)
    assert reason in str((await items(busy, made.batch_id))[0].error)


async def test_a_batch_that_the_provider_refuses_costs_nothing(
    books: Books, busy: RunningGateway, office: Office
) -> None:
    office.status = "failed"
    made = await hand_in(busy)
    done = (await watched(busy, made.batch_id))[-1]
    assert done.progress.failed_count == 3
    assert "token_limit_exceeded" in str((await items(busy, made.batch_id))[0].error)


async def test_a_batch_that_is_gone_fails(books: Books, busy: RunningGateway, office: Office) -> None:
    made = await hand_in(busy)
    await until_asked(office)
    office.upstream.respond(lambda _: office.upstream.whole(status=404, json={"error": {"code": "not_found"}}))
    assert (await watched(busy, made.batch_id))[-1].progress.failed_count == 3


async def limit(gateway: RunningGateway, nanos: int) -> None:
    """Nobody may spend more in a day."""
    budget = limits_pb2.Budget(
        name="small",
        selector=limits_pb2.LimitSelector(user_id="*"),
        period=limits_pb2.BUDGET_PERIOD_DAY,
        amount=usage_pb2.Amount(unit="CREDIT", nanos=nanos),
        hard=True,
    )
    await gateway.limits.SetBudget(limits_pb2.SetBudgetRequest(budget=budget), metadata=gateway.metadata())


async def test_a_hard_budget_holds_here_too(books: Books, busy: RunningGateway, office: Office) -> None:
    await limit(busy, 1)
    made = await hand_in(busy)
    done = (await watched(busy, made.batch_id))[-1]
    assert (done.progress.failed_count, office.upstream.requests) == (3, [])
    assert "BUDGET_EXCEEDED" in str((await items(busy, made.batch_id))[0].error)


@pytest.mark.parametrize("end", ["gone", "unanswered", "too large"])
async def test_a_batch_that_comes_to_nothing_takes_nothing_from_a_budget(
    books: Books, busy: RunningGateway, office: Office, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    await limit(busy, 10**12)
    if end == "unanswered":
        office.upstream.reply(json={"id": "file-1"})
        office.upstream.raw(RESET)
    elif end == "too large":
        monkeypatch.setattr(OpenAIBulk, "body_bytes_max", 200)
    made = await hand_in(busy)
    if end == "gone":
        await until_asked(office)
        office.upstream.respond(lambda _: office.upstream.whole(status=404, json={"error": {"code": "not_found"}}))
    assert (await watched(busy, made.batch_id))[-1].progress.failed_count == 3
    assert await books.database.fetchval("SELECT count(*) FROM budget_hold") == 0


async def test_who_runs_at_a_provider_takes_no_place_of_those_who_work(
    books: Books, start_gateway: StartGateway, office: Office
) -> None:
    gateway = await start_gateway(environment(office), jobs={"tenant_running_max": "1"})
    made = await hand_in(gateway)
    await until_asked(office)
    beside = await create(gateway, [spec("beside")])
    assert (await watched(gateway, beside.batch_id))[-1].state == COMPLETED
    office.status = "completed"
    assert (await watched(gateway, made.batch_id))[-1].state == COMPLETED
