"""OpenAI, whose older dialect most others speak; it is asked in the newer one where only that has the words."""

from __future__ import annotations

from typing import Final

from trunkline_server.core import limit_headers
from trunkline_server.core.operation import Operation
from trunkline_server.providers.provider import Provider
from trunkline_server.wire.audio.hearing import Transcription, Translation
from trunkline_server.wire.audio.speaking import Speaking
from trunkline_server.wire.audio.voices import voices
from trunkline_server.wire.openai import OpenAI
from trunkline_server.wire.openai_bulk import OpenAIBulk
from trunkline_server.wire.openai_chat.embedding import OpenAIEmbed
from trunkline_server.wire.openai_chat.moderation import OpenAIModeration
from trunkline_server.wire.openai_images import OpenAIImageEdits, OpenAIImages
from trunkline_server.wire.openai_responses.background import BackgroundResponses
from trunkline_server.wire.openai_tuning import OpenAITuning
from trunkline_server.wire.openai_videos import OpenAIVideos
from trunkline_server.wire.stored_files import StoredFiles, VectorStores

# the newer ones tell what they used, and how to speak can be told to them
INSTRUCTED: Final = ("gpt-4o-mini-tts",)

PROVIDER: Final = Provider(
    name="openai",
    base_url="https://api.openai.com/v1",
    wire=OpenAI(),
    crafts={
        Operation.IMAGE: OpenAIImages(),
        Operation.IMAGE_EDIT: OpenAIImageEdits(),
        Operation.VIDEO: OpenAIVideos(),
        Operation.EMBED: OpenAIEmbed(),
        Operation.MODERATION: OpenAIModeration(),
        Operation.SPEECH: Speaking(voice="alloy", instructed_models=INSTRUCTED, event_models=INSTRUCTED),
        Operation.TRANSCRIPTION: Transcription(speaker_models=("gpt-4o-transcribe-diarize",)),
        Operation.AUDIO_TRANSLATION: Translation(),
    },
    bulk=OpenAIBulk(),
    tuning=OpenAITuning(),
    files=StoredFiles(),
    stores=VectorStores(search_tool="file_search"),
    background=BackgroundResponses(),
    voices=voices("alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse"),
    limit_headers=limit_headers.OPENAI,
    idempotency_header="idempotency-key",
)
