"""OpenRouter, which passes calls on to many others. Its plain list of models is public, and would not prove a key."""

from __future__ import annotations

from typing import Final

from trunkline_server.providers.provider import Provider
from trunkline_server.wire.openai_chat import OpenAIChat
from trunkline_server.wire.openai_chat.quirks import COMPATIBLE_SAMPLING

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
    ),
)
