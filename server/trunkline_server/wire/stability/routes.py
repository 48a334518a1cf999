"""The provider's models: each is a place of its own, and takes fields of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.v1 import images_pb2

PROMPT: Final = images_pb2.IMAGE_EDIT_PROMPT
UPSCALE: Final = images_pb2.IMAGE_EDIT_UPSCALE


@dataclass(frozen=True, slots=True)
class Route:
    """`fields` are those of ours that it takes; `edit`: what it does to a picture, None for nothing; `model`:
    the name that it is told, where it is told one; `makes`: whether it makes pictures from nothing."""

    path: str
    fields: frozenset[str]
    edit: images_pb2.ImageEdit.ValueType | None = None
    model: str = ""
    makes: bool = False


ALWAYS: Final = frozenset({"prompt", "negative_prompt", "seed"})
STYLED: Final = ALWAYS | {"style"}
SHAPED: Final = STYLED | {"aspect_ratio"}
_SD3: Final = (
    *("sd3.5-large", "sd3.5-large-turbo", "sd3.5-medium", "sd3.5-flash"),
    *("sd3-large", "sd3-large-turbo", "sd3-medium"),
)
_GENERATE: Final = "/v2beta/stable-image/generate"
_EDIT: Final = "/v2beta/stable-image/edit"
_UPSCALE: Final = "/v2beta/stable-image/upscale"

ROUTES: Final[Mapping[str, Route]] = {
    "core": Route(f"{_GENERATE}/core", SHAPED, makes=True),
    "ultra": Route(f"{_GENERATE}/ultra", SHAPED | {"strength"}, PROMPT, makes=True),
    **{name: Route(f"{_GENERATE}/sd3", SHAPED | {"strength"}, PROMPT, name, makes=True) for name in _SD3},
    "inpaint": Route(f"{_EDIT}/inpaint", STYLED | {"mask"}, PROMPT),
    "erase": Route(f"{_EDIT}/erase", frozenset({"mask", "seed"}), PROMPT),
    "outpaint": Route(f"{_EDIT}/outpaint", frozenset({"prompt", "seed", "style"}), PROMPT),
    "search-and-replace": Route(f"{_EDIT}/search-and-replace", STYLED, PROMPT),
    "search-and-recolor": Route(f"{_EDIT}/search-and-recolor", STYLED, PROMPT),
    "remove-background": Route(f"{_EDIT}/remove-background", frozenset(), PROMPT),
    "upscale-conservative": Route(f"{_UPSCALE}/conservative", ALWAYS, UPSCALE),
    "upscale-fast": Route(f"{_UPSCALE}/fast", frozenset(), UPSCALE),
}
PREFIX: Final = "stable-image-"
"""`stable-image-core` is `core`."""
