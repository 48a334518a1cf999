"""The provider that needs no key: deterministic, offline, and as unkind as its script says.

It stands where HTTP would stand: real requests of OpenAI's dialects come in, real bytes go out, so that the
wire, the classes of failure and the gateway's whole path are exercised. `docs/sandbox.md` lists models and script keys.
"""

from __future__ import annotations

from typing import Final

from trunkline_server.core.operation import Operation
from trunkline_server.providers.provider import Provider
from trunkline_server.providers.sandbox.transport import SandboxTransport
from trunkline_server.wire.audio import formats
from trunkline_server.wire.audio.formats import Formats
from trunkline_server.wire.audio.hearing import Transcription, Translation
from trunkline_server.wire.audio.speaking import Speaking
from trunkline_server.wire.audio.voices import voices
from trunkline_server.wire.openai_bulk import OpenAIBulk
from trunkline_server.wire.openai_chat import OpenAIChat
from trunkline_server.wire.openai_chat.embedding import OpenAIEmbed
from trunkline_server.wire.openai_chat.moderation import OpenAIModeration
from trunkline_server.wire.openai_chat.quirks import COMPATIBLE_SAMPLING
from trunkline_server.wire.openai_images import OpenAIImageEdits, OpenAIImages
from trunkline_server.wire.openai_images.quirks import COMPATIBLE_MODELS
from trunkline_server.wire.openai_tuning import OpenAITuning
from trunkline_server.wire.openai_videos import OpenAIVideos
from trunkline_server.wire.rerank import Rerank
from trunkline_server.wire.stored_files import StoredFiles, VectorStores

__all__ = ["SANDBOX", "SandboxTransport"]

SANDBOX: Final = Provider(
    name="sandbox",
    base_url="http://sandbox.invalid",
    wire=OpenAIChat(sampling_fields=COMPATIBLE_SAMPLING, stop_sequences_max=16, thoughts_field="reasoning_content"),
    needs_key=False,
    closed=True,
    crafts={
        Operation.IMAGE: OpenAIImages(COMPATIBLE_MODELS),
        Operation.IMAGE_EDIT: OpenAIImageEdits(COMPATIBLE_MODELS, only_json=True),
        Operation.SPEECH: Speaking(voice="tone", formats=Formats({formats.WAV: "wav"})),
        Operation.TRANSCRIPTION: Transcription(verbose_models=("",), always_verbose=False),
        Operation.AUDIO_TRANSLATION: Translation(verbose_models=("",), always_verbose=False),
        Operation.VIDEO: OpenAIVideos(only_json=True, poll_s=0.05),
        Operation.EMBED: OpenAIEmbed(),
        Operation.RERANK: Rerank(),
        Operation.MODERATION: OpenAIModeration(),
    },
    bulk=OpenAIBulk(poll_s=0.05),
    tuning=OpenAITuning(poll_s=0.05, examples_min=1),
    files=StoredFiles(),
    stores=VectorStores(),
    voices=voices("tone"),
    transport=lambda _: SandboxTransport(),
)
