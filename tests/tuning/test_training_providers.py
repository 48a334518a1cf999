"""Trainings at providers: asked for as they want it, begun once whatever happens to workers, paid by what they tell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from tests.fixtures import tuning
from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, StartGateway
from tests.fixtures.tuning import example, jsonl
from tests.fixtures.until import until
from tests.fixtures.upstream import RESET, Answer, Received, Upstream
from trunkline.v1 import fine_tuning_pb2
from trunkline_server.providers.builtin import mistral, openai
from trunkline_server.wire.mistral_tuning import MistralTuning
from trunkline_server.wire.openai_tuning import OpenAITuning

SUCCEEDED, FAILED, CANCELLED = tuning.OVER
BASE = "gpt-4o-mini-2024-07-18"
TRAINED = f"ft:{BASE}:us:deeds:abc"
EXAMPLES = jsonl(*(example(f"number {place}") for place in range(10)))
PRICE = '[{"model": "mistral/open-mistral-nemo", "training_price": "1", "input_price": "1", "output_price": "1"}]'


@dataclass
class School:
    """OpenAI's fine-tuning jobs: running until it is told how they end."""

    upstream: Upstream
    job: dict[str, Any] = field(default_factory=lambda: {"id": "ftjob-1", "status": "running"})
    file_count: int = 0

    def answer(self, asked: Received) -> Answer:
        return self.upstream.whole(json=self._told(asked.path.partition("?")[0]))

    def _told(self, path: str) -> dict[str, Any]:
        if path == "/v1/files":
            self.file_count += 1
            return {"id": f"file-{self.file_count}"}
        if path.endswith("/events"):
            late = {"id": "e2", "created_at": 2, "level": "warn", "message": "Step 1", "data": {"train_loss": 0.5}}
            return {"data": [late, {"id": "e1", "created_at": 1, "level": "info", "message": "Created"}]}
        if path.endswith("/checkpoints"):
            point = {"step_number": 7, "fine_tuned_model_checkpoint": f"{TRAINED}:ckpt-step-7"}
            return {"data": [point | {"metrics": {"train_loss": 0.25, "full_valid_loss": 0.5}}]}
        if path.endswith("/cancel"):
            self.job |= {"status": "cancelled"}
        return self.job

    def count(self, method: str, ending: str) -> int:
        """How often it was asked so."""
        return sum(each.method == method and each.path.endswith(ending) for each in self.upstream.requests)

    def end(self, **told: Any) -> None:
        self.job |= {"status": "succeeded", "fine_tuned_model": TRAINED, "trained_tokens": 200} | told

    @property
    def environment(self) -> dict[str, str]:
        return {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{self.upstream.url}/v1"}


@pytest.fixture
async def school(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[School]:
    """It is asked often."""
    monkeypatch.setitem(cast("Any", openai.PROVIDER.__dict__), "tuning", OpenAITuning(poll_s=0.05))
    async with Upstream() as upstream:
        school = School(upstream)
        upstream.respond(school.answer)
        yield school


@pytest.fixture
async def busy(start_gateway: StartGateway, school: School) -> RunningGateway:
    return await start_gateway(school.environment)


async def hand_in(gateway: RunningGateway, **fields: Any) -> fine_tuning_pb2.FineTune:
    file_id = await tuning.upload(gateway, EXAMPLES)
    return await tuning.create(gateway, file_id, model=f"openai/{BASE}", **fields)


async def test_openai_is_asked_as_it_wants(books: Books, busy: RunningGateway, school: School) -> None:
    validation = await tuning.upload(busy, EXAMPLES)
    settings = {"epoch_count": 2, "batch_size": 4, "learning_rate_multiplier": 0.5}
    made = await hand_in(busy, validation_file_id=validation, suffix="deeds", seed=7, hyperparameters=settings)
    school.end()
    done = await tuning.ended(busy, made.fine_tune_id)
    uploaded, _, begun = school.upstream.requests[:3]
    assert b'name="purpose"\r\n\r\nfine-tune' in uploaded.body
    assert EXAMPLES in uploaded.body
    assert begun.headers["idempotency-key"] == made.fine_tune_id
    assert (begun.path, begun.json()) == (
        "/v1/fine_tuning/jobs",
        {
            "model": BASE,
            "training_file": "file-1",
            "validation_file": "file-2",
            "suffix": "deeds",
            "seed": 7,
            "method": {
                "type": "supervised",
                "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5}},
            },
        },
    )
    assert (done.state, done.provider_model, done.trained_token_count) == (SUCCEEDED, TRAINED, 200)
    [point] = done.checkpoints
    assert (point.step, point.training_loss, point.validation_loss) == (7, 0.25, 0.5)
    told = [(each.message, each.metrics.get("train_loss")) for each in await tuning.events(busy, made.fine_tune_id)]
    assert told == [("Created", None), ("Step 1", 0.5)]
    # 200 tokens at 3 USD a million
    assert [done.charge.nanos] == [600_000] == await books.charges()


async def test_a_lost_worker_is_followed_by_one_who_goes_on_asking(
    books: Books, start_gateway: StartGateway, school: School
) -> None:
    door = await start_gateway(school.environment, jobs={"worker": "false"})
    made = await hand_in(door)
    first = await door.house.background.begin_work()
    await until(lambda: school.count("GET", "/ftjob-1") >= 2)
    await first.end()
    assert (await tuning.get(door, made.fine_tune_id)).state == fine_tuning_pb2.FINE_TUNE_STATE_RUNNING
    school.end()
    second = await door.house.background.begin_work()
    done = await tuning.ended(door, made.fine_tune_id)
    await second.end()
    assert (done.state, school.count("POST", "/fine_tuning/jobs"), school.file_count) == (SUCCEEDED, 1, 1)
    assert await books.charges() == [600_000]


async def test_one_that_has_ended_is_paid_by_whoever_comes_next(
    books: Books, start_gateway: StartGateway, school: School
) -> None:
    door = await start_gateway(school.environment, jobs={"worker": "false"})
    made = await hand_in(door)
    ended = "UPDATE fine_tune SET state = 'succeeded', trained_tokens = 9, basis = 'provider_usage', charge_nanos = 27"
    await books.database.execute(f"{ended}, end_time = now()")
    assert (await tuning.get(door, made.fine_tune_id)).state == fine_tuning_pb2.FINE_TUNE_STATE_RUNNING
    working = await door.house.background.begin_work()
    done = await tuning.ended(door, made.fine_tune_id)
    await working.end()
    assert (done.state, done.charge.nanos, school.upstream.requests) == (SUCCEEDED, 27, [])
    assert await books.charges() == [27]


async def test_a_submission_without_an_answer_is_not_made_again(
    books: Books, busy: RunningGateway, school: School
) -> None:
    school.upstream.reply(json={"id": "file-1"})
    school.upstream.raw(RESET)
    made = await hand_in(busy)
    done = await tuning.ended(busy, made.fine_tune_id)
    assert (done.state, school.count("POST", "/fine_tuning/jobs")) == (FAILED, 1)
    assert "not begun a second time" in done.error.message
    assert await books.charges() == []
    await busy.house.background.tuning.desk.end_lost()
    assert (await tuning.get(busy, made.fine_tune_id)).error == done.error


async def test_cancelling_stops_it_there_and_pays_what_it_tells(
    books: Books, busy: RunningGateway, school: School
) -> None:
    made = await hand_in(busy)
    await until(lambda: school.count("GET", "/ftjob-1") >= 1)
    school.job |= {"trained_tokens": 100}
    await tuning.cancel(busy, made.fine_tune_id)
    done = await tuning.ended(busy, made.fine_tune_id)
    assert (done.state, school.count("POST", "/cancel") >= 1) == (CANCELLED, True)
    assert [done.charge.nanos] == [300_000] == await books.charges()


async def test_one_that_says_nothing_of_its_tokens_is_paid_as_estimated(
    books: Books, busy: RunningGateway, school: School
) -> None:
    school.end(trained_tokens=None)
    made = await hand_in(busy)
    done = await tuning.ended(busy, made.fine_tune_id)
    assert done.trained_token_count == done.estimated_token_count > 0
    assert [done.charge.nanos] == [done.held.nanos] == await books.charges()


@pytest.mark.parametrize("status", [400, 404])
async def test_what_a_provider_refuses_or_forgets_has_failed(
    books: Books, busy: RunningGateway, school: School, status: int
) -> None:
    refusal = {"error": {"code": "fine_tune_not_found", "message": "Could not find fine tune: 123"}}
    if status == 400:
        school.upstream.reply(json={"id": "file-1"})
        school.upstream.reply(status=400, json=refusal)
    made = await hand_in(busy)
    if status == 404:
        await until(lambda: school.count("GET", "/ftjob-1") >= 1)
        school.upstream.respond(lambda _: school.upstream.whole(status=404, json=refusal))
    done = await tuning.ended(busy, made.fine_tune_id)
    assert (done.state, await books.charges()) == (FAILED, [])
    assert "Could not find" not in str(done)


async def test_mistral_is_asked_as_it_wants(
    books: Books, start_gateway: StartGateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cast("Any", mistral.PROVIDER.__dict__), "tuning", MistralTuning(poll_s=0.05))
    events = [
        {"name": "status-updated", "created_at": 2, "data": {"status": "SUCCESS"}},
        {"name": "x", "created_at": 1},
    ]
    points = [{"step_number": 5, "metrics": {"train_loss": 0.5, "valid_mean_token_accuracy": 0.75}}]
    done = {"status": "SUCCESS", "fine_tuned_model": "ft:nemo:1", "trained_tokens": 500, "events": events}

    def answer(asked: Received) -> Answer:
        if asked.path == "/v1/files":
            return upstream.whole(json={"id": "f-1"})
        told = {"status": "QUEUED"} if asked.method == "POST" else done | {"checkpoints": points}
        return upstream.whole(json={"id": "job-1"} | told)

    upstream.respond(answer)
    environment = {"MISTRAL_API_KEY": "k", "MISTRAL_BASE_URL": f"{upstream.url}/v1"}
    gateway = await start_gateway(environment, fine_tuning={"prices": PRICE})
    file_id = await tuning.upload(gateway, EXAMPLES)
    settings = {"epoch_count": 2, "learning_rate": 0.0001}
    made = await tuning.create(gateway, file_id, model="mistral/open-mistral-nemo", hyperparameters=settings)
    ended = await tuning.ended(gateway, made.fine_tune_id)
    begun = next(each for each in upstream.requests if each.path == "/v1/fine_tuning/jobs")
    assert begun.json() == {
        "model": "open-mistral-nemo",
        "training_files": [{"file_id": "f-1", "weight": 1}],
        "hyperparameters": {"epochs": 2, "learning_rate": 0.0001},
        "auto_start": True,
    }
    assert (ended.state, ended.provider_model, ended.charge.nanos) == (SUCCEEDED, "ft:nemo:1", 500_000)
    assert [(each.step, each.validation_accuracy) for each in ended.checkpoints] == [(5, 0.75)]
    told = [each.message for each in await tuning.events(gateway, made.fine_tune_id)]
    assert told == ["x", "status-updated: SUCCESS"]
