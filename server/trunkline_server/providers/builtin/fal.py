"""FAL. Its key goes with a word of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline_server.core.operation import Operation
from trunkline_server.providers.provider import Provider
from trunkline_server.wire.fal import Fal
from trunkline_server.wire.fal.films import FalVideos
from trunkline_server.wire.fal.images import FalImageEdits, FalImages


def sign(key: str) -> Mapping[str, str]:
    return {"authorization": f"Key {key}"}


PROVIDER: Final = Provider(
    name="fal",
    base_url="https://queue.fal.run",
    wire=Fal(),
    sign=sign,
    crafts={
        Operation.IMAGE: FalImages(),
        Operation.IMAGE_EDIT: FalImageEdits(),
        Operation.VIDEO: FalVideos(),
    },
)
