"""AudioService over a socket: speech is heard while it is made, recordings come in pieces, and each has its bill."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from tests.fixtures.books import Books
from tests.fixtures.desk import USER
from tests.fixtures.gateway import RunningGateway, StartGateway, detail_of
from tests.fixtures.recording import WORD_MS, recording
from tests.fixtures.refusal import Refusal, invalid, refusal, refusal_of
from tests.fixtures.until import until
from tests.fixtures.upstream import RESET, Upstream
from trunkline.v1 import audio_pb2, audio_pb2_grpc, chat_pb2, content_pb2, receipt_pb2, usage_pb2
from trunkline_server.services import audio as service

TTS, EVENTS = "openai/tts-1", "openai/gpt-4o-mini-tts"
WHISPER = "openai/whisper-1"
CHARACTER_NANOS = 15_000
HEARD_MS_NANOS = 100
SANDBOX_CHARACTER_NANOS = 1_000
SANDBOX_MS_NANOS = 1_000
WORDS = "one two three"
SOUND = recording(WORDS)


@dataclass
class Spoken:
    """What was heard, and the error that it ended with, if any."""

    started: list[audio_pb2.SpeechStarted]
    audio: bytes
    receipt: receipt_pb2.Receipt | None
    error: grpc.aio.AioRpcError | None


def speech(text: str = WORDS, model: str = "sandbox/speak", **fields: Any) -> audio_pb2.SynthesizeSpeechRequest:
    return audio_pb2.SynthesizeSpeechRequest(input=audio_pb2.SpeechInput(model=model, text=text, **fields))


def script(**lines: Any) -> dict[str, str]:
    return {"sandbox": json.dumps({"script": lines})}


async def heard(call: AsyncIterator[audio_pb2.SynthesizeSpeechResponse]) -> Spoken:
    spoken = Spoken([], b"", None, None)
    try:
        async for message in call:
            match message.WhichOneof("event"):
                case "started":
                    assert not spoken.audio
                    spoken.started.append(message.started)
                case "audio":
                    spoken.audio += message.audio
                case _:
                    spoken.receipt = message.completed
    except grpc.aio.AioRpcError as error:
        spoken.error = error
    return spoken


def speaking(gateway: RunningGateway, request: audio_pb2.SynthesizeSpeechRequest) -> Any:
    return gateway.audio.SynthesizeSpeech(request, metadata=gateway.metadata(USER))


def parts(sound: bytes = SOUND, size: int = 1000, **fields: Any) -> list[audio_pb2.TranscribeRequest]:
    given = {"model": "sandbox/listen", "media_type": "audio/wav", **fields}
    pieces = [sound[at : at + size] for at in range(0, len(sound), size)]
    head = audio_pb2.TranscribeRequest(input=audio_pb2.TranscriptionInput(**given))
    return [head, *(audio_pb2.TranscribeRequest(audio=piece) for piece in pieces)]


async def written(
    gateway: RunningGateway, requests: Iterable[audio_pb2.TranscribeRequest]
) -> audio_pb2.TranscribeResponse:
    response: audio_pb2.TranscribeResponse
    response = await gateway.audio.Transcribe(iter(requests), metadata=gateway.metadata(USER))
    return response


async def row_of(books: Books) -> dict[str, Any]:
    async def settled() -> bool:
        return len(await books.usage()) == 1

    await until(settled)
    [row] = await books.usage()
    return row


@pytest.fixture
async def calling(start_gateway: StartGateway, upstream: Upstream, books: Books) -> RunningGateway:
    return await start_gateway(keys(upstream))


def keys(upstream: Upstream) -> dict[str, str]:
    names = ("OPENAI", "ANTHROPIC", "GROQ", "ELEVENLABS")
    return {f"{name}_API_KEY": "sk-x" for name in names} | {f"{name}_BASE_URL": f"{upstream.url}/v1" for name in names}


# Speaking.


async def test_speech_comes_in_pieces_and_ends_with_its_bill(gateway: RunningGateway, books: Books) -> None:
    spoken = await heard(speaking(gateway, speech(media_type="audio/wav")))
    assert spoken.audio == SOUND
    [started] = spoken.started
    assert started.media_type == "audio/wav"
    assert spoken.receipt is not None
    assert spoken.receipt.completion_id == started.completion_id
    assert spoken.receipt.outcome == chat_pb2.OUTCOME_COMPLETED
    assert spoken.receipt.usage.unit_counts["characters"] == len(WORDS)
    assert spoken.receipt.charge.nanos == len(WORDS) * SANDBOX_CHARACTER_NANOS == (await books.charges())[0]
    row = await row_of(books)
    assert (row["operation"], row["outcome"], json.loads(row["unit_counts"])) == (
        "speech",
        "OUTCOME_COMPLETED",
        {"characters": len(WORDS)},
    )


async def test_the_first_piece_is_heard_before_the_last_is_made(
    calling: RunningGateway, upstream: Upstream, books: Books
) -> None:
    go = asyncio.Event()
    upstream.stream([b"first", go, b"last"], content_type="audio/mpeg")
    call = speaking(calling, speech(model=TTS))
    messages = aiter(call)
    started, piece = await anext(messages), await anext(messages)
    assert (started.started.media_type, piece.audio) == ("audio/mpeg", b"first")
    go.set()
    rest = await heard(messages)
    assert rest.audio == b"last"
    assert rest.receipt is not None
    assert rest.receipt.charge.nanos == len(WORDS) * CHARACTER_NANOS


async def test_tokens_are_billed_as_the_provider_tells_them(
    calling: RunningGateway, upstream: Upstream, books: Books
) -> None:
    usage = {"input_tokens": 10, "output_tokens": 100, "total_tokens": 110}
    events = [
        {"type": "speech.audio.delta", "audio": b64encode(b"sound").decode()},
        {"type": "speech.audio.done", "usage": usage},
    ]
    upstream.stream([b"data: %b\n\n" % json.dumps(event).encode() for event in events])
    spoken = await heard(speaking(calling, speech(model=EVENTS)))
    assert spoken.audio == b"sound"
    assert spoken.receipt is not None
    assert spoken.receipt.usage.source == usage_pb2.USAGE_SOURCE_PROVIDER
    assert spoken.receipt.charge.nanos == 10 * 600 + 100 * 12_000 == (await books.charges())[0]


async def test_who_stops_listening_stops_the_provider_and_pays(
    calling: RunningGateway, upstream: Upstream, books: Books
) -> None:
    answer = upstream.stream([b"first", asyncio.Event()], content_type="audio/mpeg")
    call = speaking(calling, speech(model=TTS))
    assert (await call.read()).WhichOneof("event") == "started"
    call.cancel()
    await answer.client_left()
    row = await row_of(books)
    assert (row["outcome"], row["basis"]) == ("OUTCOME_CANCELLED", "counted_partial")
    assert await books.charges() == [len(WORDS) * CHARACTER_NANOS]


async def test_sound_that_breaks_off_is_told_and_not_begun_again(
    calling: RunningGateway, upstream: Upstream, books: Books
) -> None:
    gone = asyncio.Event()
    upstream.stream([b"first", gone, RESET], content_type="audio/mpeg")
    call = speaking(calling, speech(model=TTS))
    messages = aiter(call)
    assert (await anext(messages)).HasField("started")
    assert (await anext(messages)).audio == b"first"
    gone.set()
    spoken = await heard(messages)
    assert spoken.error is not None
    assert refusal_of(spoken.error) == Refusal("UNAVAILABLE", "STREAM_INTERRUPTED")
    assert len(upstream.requests) == 1
    assert await books.charges() == [len(WORDS) * CHARACTER_NANOS]


async def test_before_the_first_sound_another_provider_is_asked(
    start_gateway: StartGateway, upstream: Upstream, books: Books
) -> None:
    chains = json.dumps({TTS: ["sandbox/speak"]})
    calling = await start_gateway(keys(upstream), routing={"chains": chains})
    upstream.stream([RESET], content_type="audio/mpeg")
    spoken = await heard(speaking(calling, speech(model=TTS)))
    assert spoken.audio == SOUND
    assert spoken.receipt is not None
    assert [(each.provider, each.failure_kind) for each in spoken.receipt.attempts] == [
        ("openai", "AMBIGUOUS"),
        ("sandbox", ""),
    ]
    assert await books.charges() == [len(WORDS) * SANDBOX_CHARACTER_NANOS]


async def test_no_sound_at_all_is_a_failure(calling: RunningGateway, upstream: Upstream, books: Books) -> None:
    upstream.respond(lambda _: upstream.whole(headers={"content-type": "audio/mpeg"}))
    spoken = await heard(speaking(calling, speech(model=TTS)))
    assert spoken.error is not None
    assert refusal_of(spoken.error).reason == "PROVIDERS_EXHAUSTED"
    assert await books.charges() == []


async def test_named_speech_is_made_once(calling: RunningGateway, upstream: Upstream, books: Books) -> None:
    upstream.reply(b"sound", headers={"content-type": "audio/mpeg"})
    request = speech(model=TTS)
    request.request_id = "r1"
    first, second = [await heard(speaking(calling, request)) for _ in range(2)]
    assert first == second
    assert first.audio == b"sound"
    assert len(upstream.requests) == len(await books.charges()) == 1


async def test_who_does_not_speak_names_those_that_do(calling: RunningGateway) -> None:
    spoken = await heard(speaking(calling, speech(model="anthropic/claude-haiku-4-5")))
    assert spoken.error is not None
    assert refusal_of(spoken.error).reason == "CAPABILITY_UNSUPPORTED"
    named = detail_of(spoken.error, error_details_pb2.ErrorInfo).metadata["providers"]
    assert named == "elevenlabs,groq,openai,sandbox"


@pytest.mark.parametrize(
    ("request_", "refused"),
    [
        (speech(""), invalid("input.text")),
        (speech(" \n"), invalid("input.text")),
        (speech("a\0b"), invalid("input.text")),
        (speech(speed=9), invalid("input.speed")),
        (speech(voice="a/b"), invalid("input.voice")),
        (speech(model="openai/some-new-voice"), Refusal("FAILED_PRECONDITION", "PRICE_UNKNOWN")),
        (
            speech(max_cost=usage_pb2.Amount(unit="CREDIT", nanos=1)),
            Refusal("FAILED_PRECONDITION", "CREDIT_INSUFFICIENT"),
        ),
    ],
)
async def test_bad_wishes_are_refused(
    calling: RunningGateway, request_: audio_pb2.SynthesizeSpeechRequest, refused: Refusal
) -> None:
    spoken = await heard(speaking(calling, request_))
    assert spoken.error is not None
    assert refusal_of(spoken.error)[1:] == refused[1:]


# Listening.


async def test_a_recording_in_pieces_is_written_down(gateway: RunningGateway, books: Books) -> None:
    response = await written(gateway, parts(timestamps=audio_pb2.TIMESTAMP_GRANULARITY_WORD))
    assert response.transcript.text == WORDS
    assert [word.text for word in response.transcript.words] == WORDS.split()
    length_ms = 3 * WORD_MS
    assert response.receipt.usage.unit_counts["audio_ms"] == length_ms
    assert response.receipt.charge.nanos == length_ms * SANDBOX_MS_NANOS == (await books.charges())[0]
    row = await row_of(books)
    assert (row["operation"], row["basis"]) == ("transcription", "provider_usage")


async def test_a_recording_in_the_first_message(gateway: RunningGateway, books: Books) -> None:
    blob = content_pb2.Blob(data=SOUND, media_type="audio/wav")
    response = await written(gateway, parts(b"", audio=blob, media_type=""))
    assert response.transcript.text == WORDS


async def test_a_translation(gateway: RunningGateway, books: Books) -> None:
    requests = [audio_pb2.TranslateAudioRequest.FromString(each.SerializeToString()) for each in parts()]
    response = await gateway.audio.TranslateAudio(iter(requests), metadata=gateway.metadata(USER))
    assert response.transcript.text == WORDS
    row = await row_of(books)
    assert (row["operation"], row["charge_nanos"]) == ("audio_translation", 3 * WORD_MS * SANDBOX_MS_NANOS)


async def test_without_usage_the_length_is_counted(calling: RunningGateway, upstream: Upstream, books: Books) -> None:
    upstream.reply(json={"text": WORDS})
    receipt = (await written(calling, parts(model=WHISPER))).receipt
    assert receipt.usage.unit_counts["audio_ms"] == 3 * WORD_MS
    assert receipt.charge.nanos == 3 * WORD_MS * HEARD_MS_NANOS == (await books.charges())[0]
    assert [warning.code for warning in receipt.warnings] == [chat_pb2.WARNING_CODE_USAGE_ESTIMATED]


async def test_a_failed_provider_is_asked_again(calling: RunningGateway, upstream: Upstream, books: Books) -> None:
    upstream.reply(status=500, json={})
    upstream.reply(json={"text": WORDS, "duration": 2.5})
    receipt = (await written(calling, parts(model=WHISPER))).receipt
    assert [attempt.failure_kind for attempt in receipt.attempts] == ["TRANSIENT", ""]
    assert upstream.requests[0].body == upstream.requests[1].body
    assert sum(await books.charges()) == 2500 * HEARD_MS_NANOS, "longer than its file says"


def audio(data: bytes) -> audio_pb2.TranscribeRequest:
    return audio_pb2.TranscribeRequest(audio=data)


@pytest.mark.parametrize(
    ("requests", "refused"),
    [
        ([], invalid("input")),
        ([audio(b"x")], invalid("input")),
        ([*parts(), parts()[0]], invalid("input")),
        ([audio_pb2.TranscribeRequest()], invalid("part")),
        (parts(b""), invalid("audio", "MEDIA_INVALID")),
        ([*parts(b""), audio(b"")], invalid("audio", "MEDIA_INVALID")),
        (parts(media_type=""), invalid("input.media_type", "MEDIA_INVALID")),
        (parts(media_type="text/plain"), invalid("input.media_type", "MEDIA_INVALID")),
        (parts(audio=content_pb2.Blob(data=SOUND, media_type="audio/wav")), invalid("input.audio")),
        (parts(temperature=2), invalid("input.temperature")),
        (parts(model="openai/some-new-ears"), Refusal("FAILED_PRECONDITION", "PRICE_UNKNOWN")),
    ],
)
async def test_bad_uploads_are_refused(
    calling: RunningGateway, requests: Sequence[audio_pb2.TranscribeRequest], refused: Refusal
) -> None:
    assert await refusal(written(calling, requests)) == refused


async def test_too_much_sound_is_refused_while_it_comes(gateway: RunningGateway) -> None:
    """Whoever sends without end is told so, and no more of it is taken.

    By the blocking client: the other one may take its own failure to send for the call's status.
    """
    sent = 0

    def endless() -> Iterator[audio_pb2.TranscribeRequest]:
        nonlocal sent
        yield parts(b"")[0]
        while sent < 10 * service.SOUND_BYTES_MAX:
            sent += 1024 * 1024
            yield audio(bytes(1024 * 1024))

    def sending() -> Any:
        with grpc.insecure_channel(gateway.house.grpc_address) as channel:
            stub = audio_pb2_grpc.AudioServiceStub(channel)
            with pytest.raises(grpc.RpcError) as raised:
                stub.Transcribe(endless(), metadata=gateway.metadata(USER))
        return raised.value

    assert refusal_of(await asyncio.to_thread(sending)) == invalid("audio", "MEDIA_INVALID")
    assert sent < 2 * service.SOUND_BYTES_MAX


async def test_who_leaves_while_sending_is_not_charged(gateway: RunningGateway, books: Books) -> None:
    sending = asyncio.Event()

    async def unfinished() -> AsyncIterator[audio_pb2.TranscribeRequest]:
        for each in parts():
            yield each
        sending.set()
        await asyncio.Event().wait()

    call = gateway.audio.Transcribe(unfinished(), metadata=gateway.metadata(USER))
    await asyncio.wait_for(sending.wait(), 10)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await written(gateway, parts())
    assert await books.charges() == [3 * WORD_MS * SANDBOX_MS_NANOS]


# Voices.


async def voices(gateway: RunningGateway, provider: str) -> list[str]:
    request = audio_pb2.ListVoicesRequest(provider=provider)
    response = await gateway.audio.ListVoices(request, metadata=gateway.metadata(USER))
    return [voice.voice for voice in response.voices]


async def test_voices_are_told_by_name(calling: RunningGateway, upstream: Upstream) -> None:
    assert "alloy" in await voices(calling, "openai")
    listed = [{"voice_id": "b", "name": "Bea"}, {"voice_id": "a", "name": "Abe"}]
    upstream.reply(json={"voices": listed})
    assert await voices(calling, "elevenlabs") == ["a", "b"]


async def test_voices_of_nobody(calling: RunningGateway, upstream: Upstream) -> None:
    assert (await refusal(voices(calling, "nobody"))).reason == "RESOURCE_NOT_FOUND"
    assert (await refusal(voices(calling, "anthropic"))).reason == "CAPABILITY_UNSUPPORTED"
    assert (await refusal(voices(calling, "mistral"))).reason == "PROVIDER_DISABLED"
    upstream.reply(status=401, json={})
    assert (await refusal(voices(calling, "elevenlabs"))).reason == "PROVIDER_CREDENTIALS"
