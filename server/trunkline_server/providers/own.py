"""Servers of the operator's own: what is assumed about one, by what it is said to speak, and to tell of prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from trunkline_server.core import limit_headers
from trunkline_server.core.operation import Operation
from trunkline_server.providers.builtin import cohere, gemini, ollama
from trunkline_server.providers.provider import AnyCraft, Provider, header
from trunkline_server.wire.anthropic import Anthropic
from trunkline_server.wire.audio.hearing import Transcription, Translation
from trunkline_server.wire.audio.speaking import Speaking
from trunkline_server.wire.dialect import Wire
from trunkline_server.wire.openai_chat import OpenAIChat
from trunkline_server.wire.openai_chat.embedding import OpenAIEmbed
from trunkline_server.wire.openai_chat.moderation import OpenAIModeration
from trunkline_server.wire.openai_chat.price_list import PER_MILLION, PER_TOKEN, PriceList
from trunkline_server.wire.openai_chat.quirks import COMPATIBLE_SAMPLING
from trunkline_server.wire.openai_images import OpenAIImageEdits, OpenAIImages
from trunkline_server.wire.openai_images.quirks import COMPATIBLE_MODELS
from trunkline_server.wire.pieces import Limits
from trunkline_server.wire.rerank import Rerank


def _as(hosted: Provider) -> Provider:
    """A server of one's own that does what a provider we know does."""
    return replace(_COMPATIBLE, wire=hosted.wire, sign=hosted.sign, crafts=hosted.crafts)


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
    limit_headers=limit_headers.OPENAI,
    crafts={
        **SOUND,
        Operation.EMBED: OpenAIEmbed(encoding="", limits=Limits(texts_max=32)),
        Operation.RERANK: Rerank(),
        Operation.MODERATION: OpenAIModeration(),
        Operation.IMAGE: OpenAIImages(COMPATIBLE_MODELS),
        Operation.IMAGE_EDIT: OpenAIImageEdits(COMPATIBLE_MODELS),
    },
)
_AZURE: Final = replace(
    _COMPATIBLE,
    wire=OpenAIChat(),
    sign=header("api-key"),
    takes_urls=True,
    crafts={
        **SOUND,
        Operation.EMBED: OpenAIEmbed(),
        Operation.IMAGE: OpenAIImages(),
        Operation.IMAGE_EDIT: OpenAIImageEdits(),
    },
)
DIALECTS: Final[Mapping[str, Provider]] = {
    "openai": _COMPATIBLE,
    "azure": _AZURE,
    "anthropic": replace(_COMPATIBLE, wire=Anthropic(), sign=header("x-api-key"), crafts={}),
    "gemini": _as(gemini.PROVIDER),
    "cohere": _as(cohere.PROVIDER),
    "ollama": _as(ollama.PROVIDER),
}
PRICE_LISTS: Final[Mapping[str, PriceList]] = {"per_token": PER_TOKEN, "per_million": PER_MILLION}


def own(name: str, dialect: str) -> Provider:
    """A server called `name`; it need not ask for a key."""
    return replace(DIALECTS[dialect or "openai"], name=name)


def telling_prices(wire: Wire, spelled: str) -> Wire:
    """The wire, of a server whose list of models tells prices in one of these ways; empty: as it is."""
    return replace(wire, price_list=PRICE_LISTS[spelled]) if spelled and isinstance(wire, OpenAIChat) else wire
