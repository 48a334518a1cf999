"""Groq."""

from __future__ import annotations

from typing import Final

from trunkline_server.core import limit_headers
from trunkline_server.core.operation import Operation
from trunkline_server.providers.provider import Provider
from trunkline_server.wire.audio import formats
from trunkline_server.wire.audio.formats import Formats
from trunkline_server.wire.audio.hearing import Transcription, Translation
from trunkline_server.wire.audio.speaking import Speaking
from trunkline_server.wire.audio.voices import voices
from trunkline_server.wire.openai_chat import WITHOUT_FILES, OpenAIChat

PROVIDER: Final = Provider(
    name="groq",
    base_url="https://api.groq.com/openai/v1",
    wire=OpenAIChat(
        capabilities=WITHOUT_FILES,
        sampling_fields={
            field: field for field in ("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed")
        },
        thoughts_field="reasoning",
        developer_role=False,
        speaker_names=False,
    ),
    crafts={
        Operation.SPEECH: Speaking(voice="hannah", formats=Formats({formats.WAV: "wav"}), says_format=True),
        Operation.TRANSCRIPTION: Transcription(url_field="url", verbose_models=("whisper", "distil-whisper")),
        Operation.AUDIO_TRANSLATION: Translation(url_field="url"),
    },
    voices=(
        *voices("autumn austin daniel diana hannah troy", ["en"]),
        *voices("fahad lulwa noura sultan", ["ar"]),
    ),
    limit_headers=limit_headers.OPENAI,
)
