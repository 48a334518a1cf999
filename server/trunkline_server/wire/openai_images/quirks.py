"""What servers of the images API do differently, and what OpenAI's models do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

SQUARE: Final = "1024x1024"


@dataclass(frozen=True, slots=True)
class Model:
    """What a kind of model takes. `fields` are those of ours that it knows; `says_format`: it is told whether to answer
    with bytes or an address, where others always send bytes; `varies`: it makes others like a picture."""

    pattern: re.Pattern[str]
    fields: frozenset[str]
    sizes: tuple[str, ...] = ()
    ratios: tuple[str, ...] = ()
    at_once: int = 10
    says_format: bool = True
    varies: bool = False
    inputs_max: int = 1


ANY: Final = re.compile("")
GPT_IMAGE: Final = Model(
    ANY,
    frozenset({"size", "quality", "background", "media_type"}),
    sizes=(SQUARE, "1536x1024", "1024x1536"),
    says_format=False,
    inputs_max=16,
)
DALL_E_3: Final = Model(
    re.compile("dall-e-3"),
    frozenset({"size", "quality", "style"}),
    sizes=(SQUARE, "1792x1024", "1024x1792"),
    at_once=1,
)
DALL_E_2: Final = Model(re.compile("dall-e-2"), frozenset({"size"}), sizes=(SQUARE,), varies=True)
OPENAI_MODELS: Final = (DALL_E_3, DALL_E_2, GPT_IMAGE)
COMPATIBLE_MODELS: Final = (
    Model(
        ANY,
        frozenset({"size", "quality", "style", "background", "negative_prompt", "seed"}),
        sizes=(SQUARE, "1536x1024", "1024x1536"),
        varies=True,
        inputs_max=16,
    ),
)
XAI_MODELS: Final = (
    Model(
        ANY,
        frozenset({"quality"}),
        ratios=("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "2:1", "1:2", "20:9", "9:20"),
        inputs_max=3,
    ),
)
