"""Stability AI."""

from __future__ import annotations

from typing import Final

from trunkline_server.core.operation import Operation
from trunkline_server.providers.provider import Provider
from trunkline_server.wire.stability import Stability
from trunkline_server.wire.stability.films import StabilityVideos
from trunkline_server.wire.stability.images import StabilityImageEdits, StabilityImages

PROVIDER: Final = Provider(
    name="stability",
    base_url="https://api.stability.ai",
    wire=Stability(),
    takes_urls=False,
    crafts={
        Operation.IMAGE: StabilityImages(),
        Operation.IMAGE_EDIT: StabilityImageEdits(),
        Operation.VIDEO: StabilityVideos(),
    },
)
