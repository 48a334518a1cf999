"""Servers of the operator's own: what is assumed about one, by the dialect it is said to speak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from trunkline_server.core.operation import Operation
from trunkline_server.providers.provider import AnyCraft, Provider, header
from trunkline_server.wire.anthropic import Anthropic
from trunkline_server.wire.audio.hearing import Transcription, Translation
from trunkline_server.wire.audio.speaking import Speaking
from trunkline_server.wire.cohere import Cohere
from trunkline_server.wire.gemini import Gemini
from trunkline_server.wire.ollama import Ollama
from trunkline_server.wire.openai_chat import OpenAIChat
from trunkline_server.wire.openai_chat.quirks import COMPATIBLE_SAMPLING

SOUND: Final[Mapping[Operation, AnyCraft]] = {
    Operation.SPEECH: Speaking(voice="alloy", instructed_models=("",)),
    Operation.TRANSCRIPTION: Transcription(verbose_models=("",), always_verbose=False),
    Operation.AUDIO_TRANSLATION: Translation(verbose_models=("",), always_verbose=False),
}
"""What a server that speaks like OpenAI has; what its models are called tells nothing of them."""

_COMPATIBLE: Final = Provider(
    name="",
    base_url="",
    wire=OpenAIChat(sampling_fields=COMPATIBLE_SAMPLING, max_tokens_field="max_tokens"),
    needs_key=False,
    takes_urls=False,
    crafts=SOUND,
)
DIALECTS: Final[Mapping[str, Provider]] = {
    "openai": _COMPATIBLE,
    "azure": replace(_COMPATIBLE, wire=OpenAIChat(), sign=header("api-key"), takes_urls=True),
    "anthropic": replace(_COMPATIBLE, wire=Anthropic(), sign=header("x-api-key"), crafts={}),
    "gemini": replace(_COMPATIBLE, wire=Gemini(), sign=header("x-goog-api-key"), crafts={}),
    "cohere": replace(_COMPATIBLE, wire=Cohere(), crafts={}),
    "ollama": replace(_COMPATIBLE, wire=Ollama(), crafts={}),
}


def own(name: str, dialect: str) -> Provider:
    """A server called `name`; it need not ask for a key."""
    return replace(DIALECTS[dialect or "openai"], name=name)
