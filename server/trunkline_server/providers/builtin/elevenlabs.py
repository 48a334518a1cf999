"""ElevenLabs: voices, and ears."""

from __future__ import annotations

from typing import Final

from trunkline_server.core.operation import Operation
from trunkline_server.providers.provider import Provider, header
from trunkline_server.wire.audio.hearing import SEGMENT, WORD, Transcription
from trunkline_server.wire.audio.voices import VoiceList
from trunkline_server.wire.elevenlabs import ElevenLabs
from trunkline_server.wire.elevenlabs.speech import Speech

PROVIDER: Final = Provider(
    name="elevenlabs",
    base_url="https://api.elevenlabs.io/v1",
    wire=ElevenLabs(),
    sign=header("xi-api-key"),
    takes_urls=False,
    crafts={
        Operation.SPEECH: Speech(),
        Operation.TRANSCRIPTION: Transcription(
            path="/speech-to-text",
            model_field="model_id",
            language_field="language_code",
            prompt_field="",
            verbose_models=None,
            times=dict.fromkeys((SEGMENT, WORD), (("timestamps_granularity", "word"),)),
            speakers=(("diarize", "true"),),
        ),
    },
    voices=VoiceList(),
)
