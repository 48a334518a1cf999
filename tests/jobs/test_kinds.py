"""Jobs that are no chat: their results and bills are those of the calls, and no picture is made twice."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, StartGateway, reason_of
from tests.fixtures.jobs import create, ended
from tests.fixtures.upstream import RESET, Upstream
from trunkline.v1 import audio_pb2, embeddings_pb2, images_pb2, jobs_pb2

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
PICTURE = jobs_pb2.JobSpec(image=images_pb2.ImageInput(model="openai/gpt-image-1", prompt="a cat"))
SUCCEEDED, FAILED = jobs_pb2.JOB_STATE_SUCCEEDED, jobs_pb2.JOB_STATE_FAILED


@pytest.fixture
async def painting(start_gateway: StartGateway, openai: Upstream) -> RunningGateway:
    return await start_gateway({"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": f"{openai.url}/v1"})


async def done(gateway: RunningGateway, **work: Any) -> jobs_pb2.Job:
    """What became of a job, and its bill."""
    job = await ended(gateway, (await create(gateway, jobs_pb2.JobSpec(**work))).job_id)
    assert job.state == SUCCEEDED, job.error
    receipt = getattr(job.result, str(job.result.WhichOneof("result"))).receipt
    assert receipt.completion_id.startswith("cmpl_")
    assert job.charge == receipt.charge
    assert job.usage == receipt.usage
    assert job.charge.nanos > 0
    return job


async def test_texts_are_embedded(books: Books, gateway: RunningGateway) -> None:
    job = await done(gateway, embed=embeddings_pb2.EmbedInput(model="sandbox/embed", texts=["a", "b"]))
    assert len(job.result.embed.embeddings) == 2
    assert await books.charges() == [job.charge.nanos]


async def test_pictures_are_made_and_changed(books: Books, gateway: RunningGateway) -> None:
    made = await done(gateway, image=images_pb2.ImageInput(model="sandbox/picture", prompt="a cat"))
    [picture] = made.result.image.images
    assert picture.blob.data.startswith(PNG[:8])
    changed = await done(
        gateway, image=images_pb2.ImageInput(model="sandbox/picture", prompt="a dog", images=[picture.blob])
    )
    assert changed.result.image.images[0].blob.data.startswith(PNG[:8])
    assert [row["operation"] for row in await books.usage()] == ["image", "image_edit"]


async def test_a_text_is_spoken_and_written_down_again(books: Books, gateway: RunningGateway) -> None:
    spoken = await done(gateway, speech=audio_pb2.SpeechInput(model="sandbox/speak", text="hello", voice="tone"))
    sound = spoken.result.speech.blob
    assert sound.media_type
    assert sound.data
    heard = await done(gateway, transcription=audio_pb2.TranscriptionInput(model="sandbox/listen", audio=sound))
    assert heard.result.transcription.transcript.text
    assert len(await books.charges()) == 2


async def test_a_recording_has_to_be_there(gateway: RunningGateway) -> None:
    nothing = jobs_pb2.JobSpec(transcription=audio_pb2.TranscriptionInput(model="sandbox/listen"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await create(gateway, nothing)
    assert reason_of(refused.value) == "VALIDATION"


async def test_a_picture_that_may_have_been_made_is_not_made_again(
    books: Books, painting: RunningGateway, openai: Upstream
) -> None:
    openai.raw(RESET)
    job = await ended(painting, (await create(painting, PICTURE)).job_id)
    assert (job.state, job.attempt_count, len(openai.requests)) == (FAILED, 1, 1)
    assert "not begun a second time" in job.error.message
    assert await books.charges() == []


async def test_a_picture_that_was_turned_away_is_made_later(
    books: Books, painting: RunningGateway, openai: Upstream
) -> None:
    openai.respond(lambda _: openai.whole(json={"data": [{"b64_json": "iVBORw0KGgo="}]}))
    for _ in range(2):
        openai.reply(status=429, json={}, headers={"retry-after": "0"})
    job = await ended(painting, (await create(painting, PICTURE)).job_id)
    assert job.state == SUCCEEDED, job.error


async def test_a_picture_whose_worker_was_lost_is_not_made_again(
    books: Books, painting: RunningGateway, openai: Upstream
) -> None:
    asked = openai.hang()
    job = await create(painting, PICTURE)
    await asked.asked()
    await books.database.execute("UPDATE job SET leased_until = clock_timestamp() - interval '1 s'")
    ended_job = await ended(painting, job.job_id)
    assert (ended_job.state, ended_job.rescue_count, len(openai.requests)) == (FAILED, 1, 1)
    assert "not begun a second time" in ended_job.error.message
    assert await books.charges() == []
