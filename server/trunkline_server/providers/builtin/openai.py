"""OpenAI, whose dialect most others speak."""

from __future__ import annotations

from typing import Final

from trunkline_server.providers.provider import Provider
from trunkline_server.wire.openai_chat import OpenAIChat

PROVIDER: Final = Provider(name="openai", base_url="https://api.openai.com/v1", wire=OpenAIChat())
