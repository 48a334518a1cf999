"""Pictures, sound and films with the Python client, over the socket."""

from __future__ import annotations

import asyncio
import io
import wave
from decimal import Decimal
from pathlib import Path

import pytest

from tests.fixtures.gateway import RunningGateway
from trunkline import AsyncTrunkline, InvalidRequest, Picture, Trunkline, image
from trunkline.v1 import content_pb2, images_pb2

PATIENCE_S = 40
PNG = b"\x89PNG\r\n\x1a\n"


async def test_pictures_are_made_with_a_bill_and_kept(trunkline: AsyncTrunkline, tmp_path: Path) -> None:
    made = await trunkline.images.generate(
        "a cat", model="sandbox/picture", size="64x64", count=2, user="u1", request_id="cats"
    )

    assert (len(made), made.model, made[0].media_type) == (2, "sandbox/picture", "image/png")
    assert made[1].save(tmp_path / "cat.png").read_bytes() == made[1].data
    assert made[0].data.startswith(PNG)
    assert await trunkline.credits.balance("u1") == Decimal(100) - made.charge < Decimal(100)
    again = await trunkline.images.generate(
        "a cat", model="sandbox/picture", size="64x64", count=2, user="u1", request_id="cats"
    )
    assert again.receipt.completion_id == made.receipt.completion_id


async def test_pictures_are_changed(trunkline: AsyncTrunkline) -> None:
    cat = (await trunkline.images.generate("a cat", model="sandbox/picture", size="32x32"))[0]

    changed = await trunkline.images.edit("a blue cat", cat, model="sandbox/picture", mask=cat)
    others = await trunkline.images.vary(cat.data, model="sandbox/picture", count=2)

    assert changed[0].data != cat.data
    assert len(others) == 2
    with pytest.raises(InvalidRequest) as refused:
        await trunkline.images.enlarge(cat, model="sandbox/picture", also=images_pb2.ImageInput(size="tiny"))
    assert list(refused.value.fields) == ["input.size"]
    assert image(cat).image.blob.data == cat.data


def test_an_address_is_not_saved_as_if_it_were_a_picture(tmp_path: Path) -> None:
    there = Picture(content_pb2.Blob(uri="https://example.com/cat.png"))
    with pytest.raises(ValueError, match="only an address"):
        there.save(tmp_path / "cat.png")
    assert list(tmp_path.iterdir()) == []


async def test_speech_comes_in_pieces_and_is_heard_again(trunkline: AsyncTrunkline) -> None:
    speech = trunkline.audio.speak("good morning harbour", model="sandbox/speak", voice="low")
    pieces = [piece async for piece in speech]
    sound = await trunkline.audio.speak("good morning harbour", model="sandbox/speak", voice="low").sound()
    heard = await trunkline.audio.transcribe(sound, model="sandbox/listen", timestamps="word", user="u1")

    assert len(pieces) > 1
    assert (b"".join(pieces), speech.media_type) == (sound.data, "audio/wav")
    assert sound.charge > 0
    assert (str(heard), len(heard.words)) == ("good morning harbour", 3)
    assert await trunkline.credits.balance("u1") == Decimal(100) - heard.charge
    assert (await trunkline.audio.translate(sound.data, model="sandbox/listen", media_type="audio/wav")).text
    assert (await trunkline.audio.voices("sandbox"))[0].voice


async def test_speech_that_is_left_is_stopped(trunkline: AsyncTrunkline) -> None:
    speech = trunkline.audio.speak("word " * 2000, model="sandbox/speak")
    async with speech:
        async for _ in speech:
            break

    with pytest.raises(RuntimeError, match="not ended"):
        _ = speech.receipt


async def test_the_synchronous_client_makes_films_and_sound(gateway: RunningGateway, tmp_path: Path) -> None:
    def work() -> tuple[int, float]:
        with Trunkline(gateway.house.grpc_address, key=gateway.key) as trunkline:
            job = trunkline.videos.generate("a boat", model="sandbox/film", duration_s=2)
            film = job.wait(timeout_s=PATIENCE_S).films[0]
            spoken = trunkline.audio.speak("two words", model="sandbox/speak").save(tmp_path / "two.wav")
            assert trunkline.audio.transcribe(spoken, model="sandbox/listen").text == "two words"
            with wave.open(io.BytesIO(spoken.read_bytes())) as read:
                return len(film.data), read.getnframes()

    size, frames = await asyncio.to_thread(work)
    assert (size > 0, frames > 0) == (True, True)
