"""Groq."""

from __future__ import annotations

from typing import Final

from trunkline_server.providers.provider import Provider
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
)
