"""The suite for sound: every provider that speaks, listens or lists its voices, before a scripted server."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fixtures.upstream import RESET
from tests.fixtures.upstream import Upstream as Server
from trunkline.v1 import audio_pb2, content_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.operation import CAPABILITIES, Operation
from trunkline_server.core.product import Sound
from trunkline_server.providers.builtin import declarations
from trunkline_server.providers.client import ClientSettings
from trunkline_server.providers.provider import Provider, Upstream
from trunkline_server.providers.registry import ProviderSettings, Registry
from trunkline_server.wire.craft import VoicesCraft

KEY = "key-canary-0123456789"
PREFIX = "/some/prefix"
PIECE = b"\x01\x02" * 300
SSE = "text/event-stream"
HEARS = (Operation.TRANSCRIPTION, Operation.AUDIO_TRANSLATION)
ABLE: Mapping[str, set[Operation]] = {
    "openai": {Operation.SPEECH, *HEARS},
    "anthropic": set(),
    "gemini": {Operation.SPEECH, *HEARS},
    "mistral": {Operation.SPEECH, Operation.TRANSCRIPTION},
    "cohere": {Operation.TRANSCRIPTION},
    "groq": {Operation.SPEECH, *HEARS},
    "xai": {Operation.SPEECH, Operation.TRANSCRIPTION},
    "huggingface": {Operation.SPEECH, Operation.TRANSCRIPTION},
    "ollama": set(),
    "elevenlabs": {Operation.SPEECH, Operation.TRANSCRIPTION},
    "openrouter": {Operation.SPEECH, Operation.TRANSCRIPTION},
}
TROUBLES: Mapping[str, tuple[int, object]] = {
    "elevenlabs": (401, {"detail": {"status": "quota_exceeded", "message": "secret"}}),
    "cohere": (402, {"message": "secret"}),
    "gemini": (503, {"error": {"code": 503, "status": "UNAVAILABLE", "message": "secret"}}),
}
KINDS = {"gemini": FailureKind.TRANSIENT}


def heard(name: str) -> object:
    """An answer with words."""
    if name == "gemini":
        parts = [{"text": "Well.", "thought": True}, {"text": "How is it?\n"}]
        return {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    return {"text": "How is it?"}


def event(data: bytes, finish: str | None) -> bytes:
    parts = [{"inlineData": {"mimeType": "audio/L16;rate=24000", "data": base64.b64encode(data).decode()}}]
    told = {"candidates": [{"content": {"parts": parts}, "finishReason": finish}]}
    return b"data: %b\r\n\r\n" % json.dumps(told).encode()


def pieces(name: str) -> tuple[str, list[bytes]]:
    """Two pieces of sound as a provider sends them."""
    if name == "gemini":
        return SSE, [event(PIECE, None), event(PIECE, "STOP")]
    return "audio/mpeg", [PIECE, PIECE]


@dataclass
class Stage:
    """One provider of ours before a server of ours."""

    upstream: Upstream
    server: Server

    @property
    def name(self) -> str:
        return self.upstream.name

    def reads(self, sound: Sound) -> AsyncGenerator[None, None]:
        errand: Errand[Any] = Errand(self.name, "model-1", audio_pb2.SpeechInput(text="How is it?"))
        craft: Any = self.upstream.provider.crafts[Operation.SPEECH]
        return self.upstream.speak(craft, errand, sound)

    async def speak(self, sound: Sound) -> bytes:
        return b"".join([sound.drain() async for _ in self.reads(sound)])

    async def listen(self, sound: Sound, begun: asyncio.Event) -> None:
        """Until somebody stops it; `begun` is set once there is something to hear."""
        async for _ in self.reads(sound):
            if sound.byte_count:
                begun.set()

    async def hear(self, operation: Operation) -> Any:
        blob = content_pb2.Blob(data=PIECE, media_type="audio/wav")
        asked = audio_pb2.TranscriptionInput(audio=blob)
        if operation is Operation.TRANSCRIPTION and self.name == "cohere":
            asked.language = "en"
        craft: Any = self.upstream.provider.crafts[operation]
        return await self.upstream.make(craft, Errand(self.name, "model-1", asked))


@pytest.fixture
async def stage(provider: Provider) -> AsyncIterator[Stage]:
    async with Server() as server:
        settings = ProviderSettings(base_url=server.url + PREFIX, api_key=KEY)
        registry = Registry({provider.name: settings}, ClientSettings())
        try:
            yield Stage(registry.upstream(provider.name), server)
        finally:
            await registry.close()


def able(*operations: Operation) -> pytest.MarkDecorator:
    found = [each for each in declarations() if any(one in each.crafts for one in operations)]
    return pytest.mark.parametrize("provider", found, ids=lambda each: each.name)


speakers = able(Operation.SPEECH)
listeners = able(*HEARS)
askers = pytest.mark.parametrize(
    "provider", [each for each in declarations() if isinstance(each.voices, VoicesCraft)], ids=lambda each: each.name
)


def has_key_once(stage: Stage) -> bool:
    (request,) = stage.server.requests
    said = [*request.headers.values(), request.path, request.body.decode(errors="replace")]
    return request.path.startswith(PREFIX) and sum(KEY in each for each in said) == 1


def test_every_provider_says_what_it_can() -> None:
    for provider in declarations():
        mine = ABLE.get(provider.name, set())
        assert {each for each in (Operation.SPEECH, *HEARS) if each in provider.crafts} == mine
        assert provider.capabilities >= {CAPABILITIES[operation] for operation in mine}


@speakers
async def test_speaks(stage: Stage) -> None:
    content_type, body = pieces(stage.name)
    stage.server.stream(body, content_type=content_type)
    sound = Sound()

    assert await stage.speak(sound) == PIECE * 2
    assert (sound.finished, sound.byte_count) == (True, len(PIECE) * 2)
    assert sound.media_type == ("audio/L16;rate=24000" if stage.name == "gemini" else "audio/mpeg")
    assert has_key_once(stage)
    assert b"How is it?" in stage.server.requests[0].body


@speakers
async def test_a_caller_that_leaves_closes_the_socket(stage: Stage) -> None:
    content_type, body = pieces(stage.name)
    served = stage.server.stream([body[0], asyncio.Event()], content_type=content_type)
    sound, begun = Sound(), asyncio.Event()

    async with asyncio.timeout(10):
        listening = asyncio.create_task(stage.listen(sound, begun))
        await begun.wait()
        listening.cancel()
        await served.client_left()
    assert not sound.finished


@speakers
async def test_speech_that_breaks_off(stage: Stage) -> None:
    content_type, body = pieces(stage.name)
    sound, begun = Sound(), asyncio.Event()
    stage.server.stream([body[0], begun, RESET], content_type=content_type)

    with pytest.raises(UpstreamFailure) as failed:
        await stage.listen(sound, begun)

    assert failed.value.kind is FailureKind.INTERRUPTED
    assert sound.drain() == PIECE


@speakers
@pytest.mark.parametrize("content_type", ["audio/mpeg", SSE, "application/json"])
async def test_silence_is_no_speech(stage: Stage, content_type: str) -> None:
    stage.server.reply(b"", headers={"content-type": content_type})

    with pytest.raises(UpstreamFailure) as failed:
        await stage.speak(Sound())

    assert failed.value.kind is FailureKind.BROKEN


@listeners
async def test_listens(stage: Stage) -> None:
    for operation in HEARS:
        if operation in stage.upstream.provider.crafts:
            stage.server.requests.clear()
            stage.server.reply(json=heard(stage.name))

            product = await stage.hear(operation)

            assert product.body.transcript.text == "How is it?"
            assert has_key_once(stage)
            sent = stage.server.requests[0].body
            assert PIECE in sent or base64.b64encode(PIECE) in sent


@listeners
async def test_fails_to_listen_by_class(stage: Stage) -> None:
    status, body = TROUBLES.get(stage.name, (402, {"error": {"message": "secret"}}))
    stage.server.reply(json.dumps(body).encode(), status=status)

    with pytest.raises(UpstreamFailure) as failed:
        await stage.hear(Operation.TRANSCRIPTION)

    assert failed.value.kind is KINDS.get(stage.name, FailureKind.QUOTA)
    assert "secret" not in str(failed.value)


@speakers
async def test_fails_to_speak_by_class(stage: Stage) -> None:
    status, body = TROUBLES.get(stage.name, (402, {"error": {"message": "secret"}}))
    stage.server.reply(json.dumps(body).encode(), status=status)

    with pytest.raises(UpstreamFailure) as failed:
        await stage.speak(Sound())

    assert failed.value.kind is KINDS.get(stage.name, FailureKind.QUOTA)
    assert "secret" not in str(failed.value)


@askers
async def test_lists_its_voices(stage: Stage) -> None:
    stage.server.reply(json={"voices": [{"voice_id": "b", "name": "Bea"}, {"voice_id": "a"}]})

    assert [(each.voice, each.display_name) for each in await stage.upstream.voices()] == [("a", "a"), ("b", "Bea")]
    assert has_key_once(stage)


async def test_fixed_voices_are_not_asked_for() -> None:
    registry = Registry({"openai": ProviderSettings(api_key=KEY, base_url="http://127.0.0.1:9")}, ClientSettings())
    try:
        assert "alloy" in [voice.voice for voice in await registry.upstream("openai").voices()]
    finally:
        await registry.close()
