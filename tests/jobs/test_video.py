"""VideoService over a socket: films are begun once, whatever happens to workers, and paid once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import grpc
import pytest

from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, StartGateway, reason_of
from tests.fixtures.jobs import USER, ended
from tests.fixtures.until import until
from tests.fixtures.upstream import RESET, Answer, Received, Upstream
from trunkline.v1 import jobs_pb2, video_pb2
from trunkline_server.core.operation import Operation
from trunkline_server.providers.builtin import fal, gemini
from trunkline_server.providers.sandbox.film import mp4
from trunkline_server.wire.fal.films import FalVideos
from trunkline_server.wire.gemini.films import GeminiVideos

SUCCEEDED, FAILED, CANCELLED = jobs_pb2.JOB_STATE_SUCCEEDED, jobs_pb2.JOB_STATE_FAILED, jobs_pb2.JOB_STATE_CANCELLED
MODEL = "fal/fal-ai/kling-video/v2.5-turbo/pro/text-to-video"
PLACE = "/fal-ai/kling-video/requests/1"
FILM = mp4("a cat", 5)


@dataclass
class Studio:
    """A queue as FAL's and long work as Gemini's: says `WAITING` until it may be done."""

    upstream: Upstream
    is_done: bool = False
    fails: bool = False

    def answer(self, asked: Received) -> Answer:
        if "download" in asked.path:
            return self.upstream.whole(FILM, headers={"content-type": "video/mp4"})
        return self.upstream.whole(json=self.told(asked))

    def told(self, asked: Received) -> dict[str, Any]:
        if "predictLongRunning" in asked.path:
            return {"name": "models/veo-3.0-generate-001/operations/1"}
        if "operations" in asked.path:
            sample = {"video": {"uri": f"{self.upstream.url}/v1beta/files/1:download?alt=media"}}
            made = {"generateVideoResponse": {"generatedSamples": [sample]}}
            return {"name": "x", "done": True, "response": made} if self.is_done else {"name": "x"}
        if asked.method == "POST":
            at = f"{self.upstream.url}{PLACE}"
            return {"status_url": f"{at}/status", "response_url": at, "cancel_url": f"{at}/cancel"}
        if asked.path.endswith("/status"):
            failed = {"status": "COMPLETED", "error": "no", "error_type": "internal_server_error"}
            return failed if self.fails else {"status": "COMPLETED" if self.is_done else "IN_PROGRESS"}
        return {"video": {"url": "https://fal.example/film.mp4"}}

    def count(self, method: str, ending: str = "") -> int:
        """How often it was asked so."""
        return sum(each.method == method and each.path.endswith(ending) for each in self.upstream.requests)


@pytest.fixture
async def studio(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Studio]:
    """Whoever waits for it asks often."""
    monkeypatch.setitem(cast("Any", fal.PROVIDER.crafts), Operation.VIDEO, FalVideos(poll_s=0.05))
    monkeypatch.setitem(cast("Any", gemini.PROVIDER.crafts), Operation.VIDEO, GeminiVideos(poll_s=0.05))
    async with Upstream() as upstream:
        studio = Studio(upstream)
        upstream.respond(studio.answer)
        yield studio


def environment(studio: Studio) -> dict[str, str]:
    url = studio.upstream.url
    return {"FAL_API_KEY": "k", "FAL_BASE_URL": url, "GEMINI_API_KEY": "k", "GEMINI_BASE_URL": url}


@pytest.fixture
async def filming(start_gateway: StartGateway, studio: Studio) -> RunningGateway:
    return await start_gateway(environment(studio))


async def begin(gateway: RunningGateway, model: str = MODEL, request_id: str = "film-1", **script: Any) -> jobs_pb2.Job:
    input = video_pb2.VideoInput(model=model, prompt="a cat")
    input.duration.seconds = 5
    if script:
        input.provider_options_json["sandbox"] = json.dumps({"script": script})
    request = video_pb2.GenerateVideoRequest(input=input, request_id=request_id)
    return (await gateway.video.GenerateVideo(request, metadata=gateway.metadata(USER))).job


async def test_a_film_is_made_and_paid(books: Books, gateway: RunningGateway) -> None:
    begun = await begin(gateway, "sandbox/film")
    assert (await begin(gateway, "sandbox/film")).job_id == begun.job_id
    job = await ended(gateway, begun.job_id)
    assert job.state == SUCCEEDED, job.error
    [film] = job.result.video.videos
    assert film.blob.media_type == "video/mp4"
    receipt = job.result.video.receipt
    assert receipt.usage.unit_counts["video_ms"] == film.duration.seconds * 1000 > 0
    assert (receipt.model, job.charge) == ("film", receipt.charge)
    assert await books.charges() == [job.charge.nanos] != [0]


async def test_it_has_to_be_named(gateway: RunningGateway) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await begin(gateway, "sandbox/film", request_id="")
    assert reason_of(refused.value) == "VALIDATION"


async def test_who_makes_no_films_is_not_asked(start_gateway: StartGateway) -> None:
    gateway = await start_gateway({"ANTHROPIC_API_KEY": "k"})
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await begin(gateway, "anthropic/claude-haiku-4-5")
    assert reason_of(refused.value) == "CAPABILITY_UNSUPPORTED"


async def test_a_film_that_fails_costs_nothing(books: Books, gateway: RunningGateway) -> None:
    begun = await begin(gateway, "sandbox/film", fault={"kind": "error_in_stream"}, code="content_policy_violation")
    job = await ended(gateway, begun.job_id)
    assert job.state == FAILED
    assert await books.charges() == []


async def test_gemini_makes_one(books: Books, filming: RunningGateway, studio: Studio) -> None:
    studio.is_done = True
    job = await ended(filming, (await begin(filming, "gemini/veo-3.0-generate-001")).job_id)
    assert job.state == SUCCEEDED, job.error
    assert job.result.video.videos[0].blob.data == FILM
    assert await books.charges() == [job.charge.nanos] != [0]


@pytest.fixture
async def free(start_gateway: StartGateway, studio: Studio) -> RunningGateway:
    """Models that have no price cost nothing."""
    return await start_gateway(environment(studio), chat={"unknown_price": "free"})


async def until_polled(studio: Studio, times: int = 1) -> None:
    await until(lambda: studio.count("GET", "/status") >= times)


async def test_a_lost_worker_is_followed_by_one_who_goes_on_asking(
    books: Books, free: RunningGateway, studio: Studio
) -> None:
    begun = await begin(free)
    await until_polled(studio)
    await books.database.execute("UPDATE job SET leased_until = clock_timestamp() - interval '1 s'")
    await until(lambda: books.database.fetchval("SELECT rescues = 1 AND state = 'running' FROM job"))
    studio.is_done = True
    job = await ended(free, begun.job_id)
    assert (job.state, job.rescue_count) == (SUCCEEDED, 1), job.error
    assert (studio.count("POST"), studio.count("PUT")) == (1, 0)
    assert job.result.video.videos[0].blob.uri == "https://fal.example/film.mp4"


async def test_cancelling_it_reaches_the_provider(books: Books, free: RunningGateway, studio: Studio) -> None:
    begun = await begin(free)
    await until_polled(studio)
    await free.jobs.CancelJob(jobs_pb2.CancelJobRequest(job_id=begun.job_id), metadata=free.metadata())
    assert (await ended(free, begun.job_id)).state == CANCELLED
    await until(lambda: studio.count("PUT", f"{PLACE}/cancel") == 1)


async def test_a_worker_that_goes_away_leaves_it_to_the_next(
    books: Books, start_gateway: StartGateway, studio: Studio
) -> None:
    free = {"unknown_price": "free"}
    door = await start_gateway(environment(studio), chat=free, jobs={"worker": "false"})
    begun = await begin(door)
    first = await door.house.background.begin_work()
    await until_polled(studio)
    await first.end()
    assert studio.count("PUT") == 0
    studio.is_done = True
    second = await door.house.background.begin_work()
    job = await ended(door, begun.job_id)
    await second.end()
    assert (job.state, job.attempt_count, studio.count("POST")) == (SUCCEEDED, 1, 1), job.error
    assert [row["basis"] for row in await books.usage()] == ["none", "provider_usage"]


async def test_a_provider_that_does_not_say_is_asked_again(books: Books, free: RunningGateway, studio: Studio) -> None:
    begun = await begin(free)
    await until_polled(studio)
    studio.upstream.raw(RESET)
    studio.upstream.reply(status=503, json={})
    await until_polled(studio, 3)
    studio.is_done = True
    job = await ended(free, begun.job_id)
    assert (job.state, job.attempt_count, studio.count("POST")) == (SUCCEEDED, 1, 1), job.error


async def test_a_submission_without_an_answer_is_not_made_again(
    books: Books, free: RunningGateway, studio: Studio
) -> None:
    studio.upstream.raw(RESET)
    job = await ended(free, (await begin(free)).job_id)
    assert (job.state, studio.count("POST")) == (FAILED, 1)
    assert "not begun a second time" in job.error.message
