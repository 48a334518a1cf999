"""Google Gemini, with a key of AI Studio."""

from __future__ import annotations

from typing import Final

from trunkline_server.core.operation import Operation
from trunkline_server.providers.provider import Provider, header
from trunkline_server.wire.gemini import Gemini
from trunkline_server.wire.gemini.embedding import GeminiEmbed
from trunkline_server.wire.gemini.films import GeminiVideos
from trunkline_server.wire.gemini.images import GeminiImageEdits, GeminiImages

PROVIDER: Final = Provider(
    name="gemini",
    base_url="https://generativelanguage.googleapis.com",
    wire=Gemini(),
    sign=header("x-goog-api-key"),
    takes_urls=False,
    crafts={
        Operation.IMAGE: GeminiImages(),
        Operation.IMAGE_EDIT: GeminiImageEdits(),
        Operation.VIDEO: GeminiVideos(),
        Operation.EMBED: GeminiEmbed(),
    },
)
