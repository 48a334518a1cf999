"""Cohere."""

from __future__ import annotations

from typing import Final

from trunkline_server.core.operation import Operation
from trunkline_server.providers.provider import Provider
from trunkline_server.wire.audio.hearing import Transcription
from trunkline_server.wire.cohere import Cohere
from trunkline_server.wire.cohere.embedding import CohereEmbed
from trunkline_server.wire.rerank import Rerank

PROVIDER: Final = Provider(
    name="cohere",
    base_url="https://api.cohere.com",
    wire=Cohere(),
    crafts={
        Operation.EMBED: CohereEmbed(),
        Operation.RERANK: Rerank(path="/v2/rerank"),
        Operation.TRANSCRIPTION: Transcription(
            path="/v2/audio/transcriptions", needs_language=True, prompt_field="", verbose_models=None, times={}
        ),
    },
)
