"""OpenRouter, which passes calls on to many others. Its plain list of models is public, and would not prove a key."""

from __future__ import annotations

import re
from typing import Final

from trunkline_server.core.operation import Operation
from trunkline_server.providers.provider import Provider
from trunkline_server.wire.audio import formats
from trunkline_server.wire.audio.formats import Formats
from trunkline_server.wire.audio.hearing import Transcription
from trunkline_server.wire.audio.speaking import Speaking
from trunkline_server.wire.openai_chat import OpenAIChat
from trunkline_server.wire.openai_chat.embedding import OpenAIEmbed
from trunkline_server.wire.openai_chat.images import ChatImageEdits, ChatImages
from trunkline_server.wire.openai_chat.price_list import PER_TOKEN
from trunkline_server.wire.openai_chat.quirks import COMPATIBLE_SAMPLING
from trunkline_server.wire.pieces import Limits
from trunkline_server.wire.rerank import Rerank

VENDORS: Final = {"gemini": "google", "mistral": "mistralai", "xai": "x-ai"}


def foreign_names(provider: str, model: str) -> tuple[str, ...]:
    """`claude-haiku-4-5` of `anthropic` is `anthropic/claude-haiku-4.5` there."""
    vendor = VENDORS.get(provider, provider)
    dotted = re.sub(r"(?<=-\d)-(?=\d\b)", ".", model)
    return (f"{vendor}/{model}", f"{vendor}/{dotted}", model)


PROVIDER: Final = Provider(
    name="openrouter",
    base_url="https://openrouter.ai/api/v1",
    wire=OpenAIChat(
        models_path="/models/user",
        sampling_fields=COMPATIBLE_SAMPLING,
        max_tokens_field="max_tokens",
        thoughts_field="reasoning",
        thought_blocks_field="reasoning_details",
        cache_marks=True,
        price_list=PER_TOKEN,
    ),
    foreign_names=foreign_names,
    crafts={
        Operation.EMBED: OpenAIEmbed(encoding="", limits=Limits(texts_max=96)),
        Operation.RERANK: Rerank(),
        Operation.IMAGE: ChatImages(),
        Operation.IMAGE_EDIT: ChatImageEdits(),
        Operation.SPEECH: Speaking(
            voice="alloy", formats=Formats({formats.MPEG: "mp3", formats.SAMPLES: "pcm"}), says_format=True
        ),
        Operation.TRANSCRIPTION: Transcription(prompt_field="", verbose_models=None, times={}),
    },
)
