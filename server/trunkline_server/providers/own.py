"""Servers of the operator's own: what is assumed about one, by the dialect it is said to speak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from trunkline_server.core.operation import Operation
from trunkline_server.providers.provider import Provider, header
from trunkline_server.wire.anthropic import Anthropic
from trunkline_server.wire.cohere import Cohere
from trunkline_server.wire.gemini import Gemini
from trunkline_server.wire.ollama import Ollama
from trunkline_server.wire.openai_chat import OpenAIChat
from trunkline_server.wire.openai_chat.quirks import COMPATIBLE_SAMPLING
from trunkline_server.wire.openai_images import OpenAIImageEdits, OpenAIImages
from trunkline_server.wire.openai_images.quirks import COMPATIBLE_MODELS

_COMPATIBLE: Final = Provider(
    name="",
    base_url="",
    wire=OpenAIChat(sampling_fields=COMPATIBLE_SAMPLING, max_tokens_field="max_tokens"),
    needs_key=False,
    takes_urls=False,
)
DIALECTS: Final[Mapping[str, Provider]] = {
    "openai": _COMPATIBLE,
    "azure": replace(_COMPATIBLE, wire=OpenAIChat(), sign=header("api-key"), takes_urls=True),
    "anthropic": replace(_COMPATIBLE, wire=Anthropic(), sign=header("x-api-key")),
    "gemini": replace(_COMPATIBLE, wire=Gemini(), sign=header("x-goog-api-key")),
    "cohere": replace(_COMPATIBLE, wire=Cohere()),
    "ollama": replace(_COMPATIBLE, wire=Ollama()),
}


def own(name: str, dialect: str) -> Provider:
    """A server called `name`; it need not ask for a key."""
    return replace(DIALECTS[dialect or "openai"], name=name)
