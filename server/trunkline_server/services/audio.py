"""AudioService: speech goes out in pieces, recordings come in so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeAlias

from trunkline.v1 import audio_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errand_rules import check_sound
from trunkline_server.core.errors import Reason, invalid, not_found
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.core.operation import Operation
from trunkline_server.gateway import refusals
from trunkline_server.gateway.errands import Errands
from trunkline_server.providers.provider import Upstream
from trunkline_server.providers.registry import Registry

SOUND_BYTES_MAX: Final = 32 * 1024 * 1024

Uploads: TypeAlias = AsyncIterator[audio_pb2.TranscribeRequest] | AsyncIterator[audio_pb2.TranslateAudioRequest]


@dataclass(frozen=True)
class AudioService:
    """Speaking and listening."""

    errands: Errands
    registry: Registry

    async def synthesize_speech(
        self, call: Call, request: audio_pb2.SynthesizeSpeechRequest
    ) -> AsyncGenerator[audio_pb2.SynthesizeSpeechResponse, None]:
        async with aclosing(self.errands.speak(call, request.input)) as pieces:
            async for piece in pieces:
                yield piece

    async def transcribe(
        self, call: Call, requests: AsyncIterator[audio_pb2.TranscribeRequest]
    ) -> audio_pb2.TranscribeResponse:
        input = await _gathered(requests)
        response: audio_pb2.TranscribeResponse = await self.errands.answer(call, Operation.TRANSCRIPTION, input)
        return response

    async def translate_audio(
        self, call: Call, requests: AsyncIterator[audio_pb2.TranslateAudioRequest]
    ) -> audio_pb2.TranslateAudioResponse:
        input = await _gathered(requests)
        response: audio_pb2.TranslateAudioResponse = await self.errands.answer(call, Operation.AUDIO_TRANSLATION, input)
        return response

    async def list_voices(self, call: Call, request: audio_pb2.ListVoicesRequest) -> audio_pb2.ListVoicesResponse:
        if self.registry.find(request.provider) is None:
            raise not_found("provider", request.provider)
        upstream = self.registry.upstream(request.provider)
        if Operation.SPEECH not in upstream.provider.crafts:
            raise invalid("provider", f"{request.provider} does not speak", Reason.CAPABILITY_UNSUPPORTED)
        voices = await _voices(upstream, call.deadline)
        return audio_pb2.ListVoicesResponse(voices=sorted(voices, key=lambda voice: voice.voice))


async def _voices(upstream: Upstream, deadline: float) -> list[audio_pb2.Voice]:
    """Raises DEADLINE, PROVIDERS_EXHAUSTED and what else a provider's failure means."""
    try:
        async with asyncio.timeout_at(deadline):
            return await upstream.voices()
    except UpstreamFailure as failure:
        raise refusals.told(failure, (), "", begun=False, own_key=False, partial=None) from failure


async def _gathered(requests: Uploads) -> audio_pb2.TranscriptionInput:
    """What is wanted, with the sound that follows it. Raises VALIDATION, MEDIA_INVALID."""
    input: audio_pb2.TranscriptionInput | None = None
    sound = bytearray()
    async for request in requests:
        if request.HasField("input"):
            if input is not None:
                raise invalid("input", "comes once, and first")
            input = request.input
        elif input is None:
            raise invalid("input", "comes first, before the sound")
        else:
            sound += request.audio
        if len(sound) > SOUND_BYTES_MAX:
            raise invalid("audio", f"has over {SOUND_BYTES_MAX} bytes", Reason.MEDIA_INVALID)
    if input is None:
        raise invalid("input", "is missing")
    _add(input, bytes(sound))
    return input


def _add(input: audio_pb2.TranscriptionInput, sound: bytes) -> None:
    if input.HasField("audio"):
        if sound:
            raise invalid("input.audio", "is there already, and more sound follows it")
        return
    if not sound:
        raise invalid("audio", "no sound came", Reason.MEDIA_INVALID)
    check_sound(input.media_type, "input.media_type")
    input.audio.data, input.audio.media_type = sound, input.media_type
