"""Ollama, on this machine or elsewhere. It asks for no key, so it is on only where the settings name it."""

from __future__ import annotations

from typing import Final

from trunkline_server.core.operation import Operation
from trunkline_server.providers.provider import Provider
from trunkline_server.wire.ollama import Ollama
from trunkline_server.wire.ollama.embedding import OllamaEmbed

PROVIDER: Final = Provider(
    name="ollama",
    base_url="http://localhost:11434",
    wire=Ollama(),
    needs_key=False,
    only_if_named=True,
    takes_urls=False,
    crafts={
        Operation.EMBED: OllamaEmbed(),
    },
)
