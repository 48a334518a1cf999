"""Hugging Face's router, behind which a dozen others answer: it is told only what all of them take."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from trunkline_server.core.operation import Operation
from trunkline_server.providers.provider import Provider
from trunkline_server.wire.huggingface.embedding import HuggingFaceEmbed
from trunkline_server.wire.huggingface.images import HuggingFaceImages
from trunkline_server.wire.huggingface.speech import TaskSpeech
from trunkline_server.wire.huggingface.transcription import TaskTranscription
from trunkline_server.wire.openai_chat import WITHOUT_FILES, OpenAIChat
from trunkline_server.wire.openai_chat.price_list import PER_MILLION

PROVIDER: Final = Provider(
    name="huggingface",
    base_url="https://router.huggingface.co",
    wire=OpenAIChat(
        path="/v1/chat/completions",
        models_path="/v1/models",
        capabilities=WITHOUT_FILES,
        max_tokens_field="max_tokens",
        end_user_field="",
        developer_role=False,
        speaker_names=False,
        price_list=replace(PER_MILLION, by_host=True),
    ),
    crafts={
        Operation.EMBED: HuggingFaceEmbed(),
        Operation.IMAGE: HuggingFaceImages(),
        Operation.SPEECH: TaskSpeech(),
        Operation.TRANSCRIPTION: TaskTranscription(),
    },
)
