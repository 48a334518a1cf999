"""The official `openai` client makes vectors, pictures, speech, transcripts and judgements through the door."""

from __future__ import annotations

import asyncio
import io
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, StartGateway
from tests.fixtures.http import Http
from tests.fixtures.recording import WORD_MS, recording
from tests.fixtures.upstream import RESET, Upstream
from trunkline_server.core.media import sniff
from trunkline_server.edge.limits import Limits
from trunkline_server.providers.sandbox.png import png

WORDS = "one two three"
SOUND = recording(WORDS)
PNG = png("a fox", 16, 16)
PICTURE_URL = "data:image/png;base64," + b64encode(PNG).decode()


@pytest.fixture
async def client(gateway: RunningGateway) -> AsyncIterator[AsyncOpenAI]:
    url = f"http://{gateway.house.http_address}/v1"
    async with AsyncOpenAI(base_url=url, api_key=gateway.key, max_retries=0) as made:
        yield made


def script(**lines: Any) -> Any:
    return {"trunkline": {"providerOptionsJson": {"sandbox": json.dumps({"script": lines})}}}


def file(name: str = "talk.wav") -> tuple[str, io.BytesIO]:
    return name, io.BytesIO(SOUND)


async def test_vectors_are_the_same_packed_and_plain(books: Books, client: AsyncOpenAI) -> None:
    raw = await client.embeddings.with_raw_response.create(model="sandbox/embed", input=["a red fox", "tax law"])
    packed = raw.parse()
    plain = await client.embeddings.create(model="sandbox/embed", input="a red fox", encoding_format="float")
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding)
    assert [each.index for each in packed.data] == [0, 1]
    assert packed.usage.prompt_tokens == packed.usage.total_tokens > 0
    assert (packed.model, raw.headers["x-trunkline-provider"]) == ("embed", "sandbox")
    assert float(raw.headers["x-trunkline-charge"]) > 0
    assert len(await books.charges()) == 2


async def test_vectors_as_short_as_asked_for(client: AsyncOpenAI) -> None:
    answer = await client.embeddings.create(model="sandbox/embed", input="a red fox", dimensions=8)
    assert len(answer.data[0].embedding) == 8


async def test_pictures(books: Books, client: AsyncOpenAI) -> None:
    size: Any = "32x16"
    answer = await client.images.generate(model="sandbox/picture", prompt="a fox", n=2, size=size)
    assert answer.data is not None
    assert [sniff(b64decode(image.b64_json or "")) for image in answer.data] == ["image/png"] * 2
    assert answer.data[0].revised_prompt == "a fox"
    assert answer.created > 0
    far = await client.images.generate(model="sandbox/picture", prompt="a fox", response_format="url")
    assert far.data is not None
    assert (far.data[0].url or "").startswith("https://")
    assert [row["operation"] for row in await books.usage()] == ["image", "image"]


async def test_pictures_are_changed(books: Books, client: AsyncOpenAI) -> None:
    one = await client.images.edit(model="sandbox/picture", prompt="blue", image=PNG, mask=PNG, n=1)
    other = await client.images.edit(model="sandbox/picture", prompt="blue", image=[PNG, PNG])
    assert one.data is not None
    assert other.data is not None
    assert one.data[0].b64_json != other.data[0].b64_json
    assert [row["operation"] for row in await books.usage()] == ["image_edit"] * 2


async def test_speech_is_streamed(books: Books, client: AsyncOpenAI) -> None:
    async with client.audio.speech.with_streaming_response.create(
        model="sandbox/speak", voice="any", input=WORDS, response_format="wav"
    ) as answer:
        assert answer.headers["content-type"] == "audio/wav"
        assert answer.headers["transfer-encoding"] == "chunked"
        assert b"".join([piece async for piece in answer.iter_bytes()]) == SOUND
        assert answer.headers["x-trunkline-completion-id"].startswith("cmpl_")
    assert (await client.audio.speech.create(model="sandbox/speak", voice="any", input=WORDS)).content == SOUND
    assert len(await books.charges()) == 2


async def test_speech_in_events(http: Http) -> None:
    asked = {"model": "sandbox/speak", "input": WORDS, "voice": "any", "stream_format": "sse"}
    answer = await http.post("/v1/audio/speech", asked)
    *pieces, last = [json.loads(data) for _, data in answer.events]
    assert b"".join(b64decode(piece["audio"]) for piece in pieces) == SOUND
    assert (last["type"], "usage" in last) == ("speech.audio.done", True)


async def test_speech_that_breaks_off_cuts_the_connection(
    start_gateway: StartGateway, upstream: Upstream, books: Books
) -> None:
    """Whoever hears it must not take it for the whole."""
    heard = asyncio.Event()
    upstream.stream([b"first", heard, RESET], content_type="audio/mpeg")
    gateway = await start_gateway({"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": f"{upstream.url}/v1"})
    http = Http(gateway)
    asked = json.dumps({"model": "openai/tts-1", "voice": "alloy", "input": WORDS}).encode()
    async with http.socket() as socket:
        await socket.send(http.request("/v1/audio/speech", asked))
        assert b"200 OK" in await socket.reader.readuntil(b"\r\n\r\n")
        assert await socket.chunk() == b"first"
        heard.set()
        assert await socket.gone() == b"", "no last chunk, which would be an end in good order"
    assert await books.charges() == [len(WORDS) * 15_000]


async def test_transcripts_in_every_shape(books: Books, client: AsyncOpenAI) -> None:
    listen = client.audio.transcriptions.create
    assert (await listen(model="sandbox/listen", file=file())).text == WORDS
    said: Any = await listen(model="sandbox/listen", file=file(), response_format="text")
    assert said == f"{WORDS}\n"
    verbose = await listen(
        model="sandbox/listen", file=file(), response_format="verbose_json", timestamp_granularities=["word"]
    )
    assert verbose.words is not None
    assert [(word.word, word.start) for word in verbose.words] == [("one", 0.0), ("two", 0.12), ("three", 0.24)]
    assert verbose.duration == 3 * WORD_MS / 1000
    titles: Any = await listen(model="sandbox/listen", file=file(), response_format="srt")
    assert titles == f"1\n00:00:00,000 --> 00:00:00,{3 * WORD_MS}\n{WORDS}\n\n"
    titles = await listen(model="sandbox/listen", file=file(), response_format="vtt")
    assert titles == f"WEBVTT\n\n00:00:00.000 --> 00:00:00.{3 * WORD_MS}\n{WORDS}\n\n"
    assert len(await books.charges()) == 5


async def test_what_is_made_in_one_piece_is_streamed_as_one(client: AsyncOpenAI) -> None:
    heard = await client.audio.transcriptions.create(model="sandbox/listen", file=file(), stream=True)
    told: list[Any] = [event async for event in heard]
    assert [event.type for event in told] == ["transcript.text.delta", "transcript.text.done"]
    assert told[0].delta == told[1].text == WORDS
    drawn = await client.images.generate(model="sandbox/picture", prompt="a fox", stream=True, partial_images=1)
    pictures: list[Any] = [event async for event in drawn]
    assert [(each.type, sniff(b64decode(each.b64_json))) for each in pictures] == [
        ("image_generation.completed", "image/png")
    ]
    changed = await client.images.edit(model="sandbox/picture", prompt="a dog", image=PNG, stream=True)
    assert [event.type async for event in changed] == ["image_edit.completed"]


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the client says so of this method
async def test_a_translation(books: Books, client: AsyncOpenAI) -> None:
    answer: Any = await client.audio.translations.create(
        model="sandbox/listen", file=file(), temperature=0.5, response_format="verbose_json"
    )
    assert (answer.text, answer.task) == (WORDS, "translate")
    assert [row["operation"] for row in await books.usage()] == ["audio_translation"]


async def test_a_long_recording_is_taken(client: AsyncOpenAI) -> None:
    """Longer than any other body may be."""
    long = SOUND + bytes(Limits().body_bytes_max)
    answer = await client.audio.transcriptions.create(model="sandbox/listen", file=("talk.wav", long))
    assert answer.text == WORDS


async def test_judgements(client: AsyncOpenAI) -> None:
    answer = await client.moderations.create(model="sandbox/moderation", input=["a lovely day", "I will kill it"])
    assert [result.flagged for result in answer.results] == [False, True]
    assert answer.results[1].categories.violence
    assert answer.results[1].category_scores.violence == 0.9
    parts: Any = [{"type": "text", "text": "peace"}, {"type": "image_url", "image_url": {"url": PICTURE_URL}}]
    assert len((await client.moderations.create(model="sandbox/moderation", input=parts)).results) == 2


async def test_what_cannot_be_done_is_told_as_openai_does(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.embeddings.create(model="sandbox/embed", input="")
    assert caught.value.param == "texts[0]"
    for numbers in ([1, 2], [[1], [2]]):
        with pytest.raises(openai.BadRequestError, match="must be texts"):
            await client.embeddings.create(model="sandbox/embed", input=numbers)
    with pytest.raises(openai.NotFoundError):
        await client.images.generate(model="nobody/nothing", prompt="a fox")
    with pytest.raises(openai.BadRequestError):
        await client.audio.speech.create(model="sandbox/speak", voice="a", input="x", response_format="mp9")  # type: ignore[arg-type]
    with pytest.raises(openai.BadRequestError):
        await client.audio.transcriptions.create(model="sandbox/listen", file=("notes.txt", b"text"))
    with pytest.raises(openai.BadRequestError):
        await client.moderations.create(model="sandbox/moderation", input=[])


async def test_scripts_reach_the_provider_in_forms_too(client: AsyncOpenAI) -> None:
    options = {"trunkline": json.dumps(script(text="something else")["trunkline"])}
    answer = await client.audio.transcriptions.create(model="sandbox/listen", file=file(), extra_body=options)
    assert answer.text == "something else"
