"""What a model can do follows from what it is sold by."""

from __future__ import annotations

import pytest

from trunkline.v1.models_pb2 import (
    CAPABILITY_AUDIO_TRANSLATION,
    CAPABILITY_CHAT,
    CAPABILITY_EMBED,
    CAPABILITY_IMAGE_EDIT,
    CAPABILITY_IMAGE_GENERATION,
    CAPABILITY_MODERATION,
    CAPABILITY_RERANK,
    CAPABILITY_SPEECH,
    CAPABILITY_TRANSCRIPTION,
    CAPABILITY_VIDEO_GENERATION,
)
from trunkline_server.core.model import configured_price
from trunkline_server.providers.abilities import abilities_of
from trunkline_server.providers.builtin import declaration


@pytest.mark.parametrize(
    ("provider", "units", "able"),
    [
        ("openai", ["images"], {CAPABILITY_IMAGE_GENERATION, CAPABILITY_IMAGE_EDIT}),
        ("openai", ["characters"], {CAPABILITY_SPEECH}),
        ("openai", ["audio_ms"], {CAPABILITY_TRANSCRIPTION, CAPABILITY_AUDIO_TRANSLATION}),
        ("openai", ["video_ms"], {CAPABILITY_VIDEO_GENERATION}),
        ("openai", ["input"], {CAPABILITY_EMBED, CAPABILITY_MODERATION}),
        ("cohere", ["input"], {CAPABILITY_EMBED}),
        ("cohere", ["searches"], {CAPABILITY_RERANK}),
    ],
)
def test_by_what_it_is_sold(provider: str, units: list[str], able: set[int]) -> None:
    assert abilities_of(declaration(provider), configured_price(dict.fromkeys(units, 1))) == able


def test_what_is_sold_by_tokens_chats() -> None:
    openai = declaration("openai")
    assert abilities_of(openai, configured_price({"input": 1, "output": 1})) == openai.wire.capabilities
    assert abilities_of(openai, None) == openai.wire.capabilities
    draws = abilities_of(openai, configured_price({"input": 1, "output": 1, "output_image": 1}))
    assert {CAPABILITY_CHAT, CAPABILITY_IMAGE_GENERATION} <= draws


def test_who_has_no_chat_does_what_it_can() -> None:
    fal = declaration("fal")
    assert abilities_of(fal, None) == fal.capabilities
    assert CAPABILITY_CHAT not in fal.capabilities
