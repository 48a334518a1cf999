"""The sandbox speaks and listens: what it says, it understands, and it fails as it is told."""

from __future__ import annotations

import asyncio
import io
import wave
from typing import Any

import pytest

from trunkline.v1 import audio_pb2, content_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.operation import Operation
from trunkline_server.core.product import Sound
from trunkline_server.providers.client import ClientSettings
from trunkline_server.providers.provider import Upstream
from trunkline_server.providers.sandbox import SANDBOX, SandboxTransport

WORDS = "Hello out there, data"


async def at_once(pause_s: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
def sandbox() -> Upstream:
    return Upstream(SANDBOX, SandboxTransport(ClientSettings(), at_once))


def craft(operation: Operation) -> Any:
    return SANDBOX.crafts[operation]


async def speech(sandbox: Upstream, script: dict[str, object], sound: Sound, model: str = "speak") -> list[bytes]:
    errand = Errand("sandbox", model, audio_pb2.SpeechInput(text=WORDS), {"script": script})
    return [sound.drain() async for _ in sandbox.speak(craft(Operation.SPEECH), errand, sound)]


async def transcript(
    sandbox: Upstream, recording: bytes, script: dict[str, object], operation: Operation, **said: Any
) -> Any:
    blob = content_pb2.Blob(data=recording, media_type="audio/wav")
    errand = Errand("sandbox", "listen", audio_pb2.TranscriptionInput(audio=blob, **said), {"script": script})
    return await sandbox.make(craft(operation), errand)


async def test_speech_is_a_file_that_comes_in_pieces(sandbox: Upstream) -> None:
    sound = Sound()
    pieces = await speech(sandbox, {}, sound)

    assert (len(pieces), sound.media_type, sound.finished, sound.usage) == (5, "audio/wav", True, None)
    with wave.open(io.BytesIO(b"".join(pieces))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        assert file.getnframes() == 4 * 960
    assert pieces == await speech(sandbox, {}, Sound())


@pytest.mark.parametrize("operation", [Operation.TRANSCRIPTION, Operation.AUDIO_TRANSLATION])
async def test_it_understands_itself(sandbox: Upstream, operation: Operation) -> None:
    recording = b"".join(await speech(sandbox, {}, Sound()))
    segment = audio_pb2.TIMESTAMP_GRANULARITY_SEGMENT
    product = await transcript(sandbox, recording, {}, operation, timestamps=segment)

    told = product.body.transcript
    assert (told.text, told.segments[0].text) == (WORDS, WORDS)
    assert (told.segments[0].end_offset.ToMilliseconds(), dict(product.usage.unit_counts)) == (480, {"audio_ms": 480})


async def test_times_of_words(sandbox: Upstream) -> None:
    word = audio_pb2.TIMESTAMP_GRANULARITY_WORD
    product = await transcript(sandbox, b"x", {"text": "a b"}, Operation.TRANSCRIPTION, timestamps=word)
    words = product.body.transcript.words
    assert [(each.text, each.start_offset.ToMilliseconds()) for each in words] == [("a", 0), ("b", 120)]


async def test_what_it_did_not_say_it_counts(sandbox: Upstream) -> None:
    product = await transcript(sandbox, b"x" * 16_000, {}, Operation.TRANSCRIPTION)
    assert product.body.transcript.text == "16000 bytes"
    assert dict(product.usage.unit_counts) == {"audio_ms": 1000}
    assert (await transcript(sandbox, b"x", {"usage": None}, Operation.TRANSCRIPTION)).usage is None


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ({"status": 500}, FailureKind.TRANSIENT),
        ({"status": 429}, FailureKind.THROTTLED),
        ({"status": 429, "code": "insufficient_quota"}, FailureKind.QUOTA),
        ({"unreachable": True}, FailureKind.NEVER_SENT),
        ({"malformed": "html"}, FailureKind.BROKEN),
        ({"malformed": "json"}, FailureKind.BROKEN),
        ({"reset_after": 1}, FailureKind.INTERRUPTED),
        ({"stall_after": 1}, FailureKind.TIMEOUT_IDLE),
    ],
)
async def test_it_fails_as_it_is_told(sandbox: Upstream, script: dict[str, object], kind: FailureKind) -> None:
    with pytest.raises(UpstreamFailure) as silent:
        await speech(sandbox, script, Sound())
    with pytest.raises(UpstreamFailure) as deaf:
        await transcript(sandbox, b"x", script, Operation.TRANSCRIPTION)
    assert (silent.value.kind, deaf.value.kind) == (kind, kind)


async def test_speech_that_breaks_off_was_heard_until_then(sandbox: Upstream) -> None:
    sound = Sound()
    with pytest.raises(UpstreamFailure) as failed:
        await speech(sandbox, {"cut_after": 2}, sound)
    assert failed.value.kind is FailureKind.INTERRUPTED
    assert sound.byte_count > 2 * 1920
    assert not sound.finished


@pytest.mark.parametrize("script", [{"text": 7}, {"unknown": 1}])
async def test_a_wrong_script_is_refused(sandbox: Upstream, script: dict[str, object]) -> None:
    for attempt in (speech(sandbox, script, Sound()), transcript(sandbox, b"x", script, Operation.TRANSCRIPTION)):
        with pytest.raises(UpstreamFailure) as failed:
            await attempt
        assert failed.value.kind is FailureKind.INVALID


async def test_it_has_a_voice(sandbox: Upstream) -> None:
    assert [voice.voice for voice in await sandbox.voices()] == ["tone"]
