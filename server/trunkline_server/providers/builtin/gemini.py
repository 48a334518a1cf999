"""Google Gemini, with a key of AI Studio."""

from __future__ import annotations

from typing import Final

from trunkline_server.core.operation import Operation
from trunkline_server.providers.provider import Provider, header
from trunkline_server.wire.audio.voices import voices
from trunkline_server.wire.gemini import Gemini
from trunkline_server.wire.gemini.bulk import GeminiBulk
from trunkline_server.wire.gemini.embedding import GeminiEmbed
from trunkline_server.wire.gemini.films import GeminiVideos
from trunkline_server.wire.gemini.hearing import GeminiTranscription, GeminiTranslation
from trunkline_server.wire.gemini.images import GeminiImageEdits, GeminiImages
from trunkline_server.wire.gemini.speech import Speech

VOICES: Final = """
    Achernar Achird Algenib Algieba Alnilam Aoede Autonoe Callirrhoe Charon Despina Enceladus Erinome Fenrir Gacrux
    Iapetus Kore Laomedeia Leda Orus Puck Pulcherrima Rasalgethi Sadachbia Sadaltager Schedar Sulafat Umbriel
    Vindemiatrix Zephyr Zubenelgenubi
"""

PROVIDER: Final = Provider(
    name="gemini",
    base_url="https://generativelanguage.googleapis.com",
    wire=Gemini(),
    sign=header("x-goog-api-key"),
    takes_urls=False,
    crafts={
        Operation.IMAGE: GeminiImages(),
        Operation.IMAGE_EDIT: GeminiImageEdits(),
        Operation.VIDEO: GeminiVideos(),
        Operation.EMBED: GeminiEmbed(),
        Operation.SPEECH: Speech(),
        Operation.TRANSCRIPTION: GeminiTranscription(),
        Operation.AUDIO_TRANSLATION: GeminiTranslation(),
    },
    bulk=GeminiBulk(),
    voices=voices(VOICES),
)
