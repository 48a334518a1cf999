"""The providers that ship with the gateway."""

from __future__ import annotations

from typing import Final

from trunkline_server.providers.provider import Provider, bearer, header
from trunkline_server.wire.anthropic import Anthropic
from trunkline_server.wire.dialect import Wire
from trunkline_server.wire.gemini import Gemini
from trunkline_server.wire.openai_chat import OpenAIChat
from trunkline_server.wire.openai_chat.quirks import COMPATIBLE_SAMPLING

OPENAI: Final = Provider(name="openai", base_url="https://api.openai.com/v1", wire=OpenAIChat())

ANTHROPIC: Final = Provider(
    name="anthropic", base_url="https://api.anthropic.com", wire=Anthropic(), sign=header("x-api-key")
)

GEMINI: Final = Provider(
    name="gemini",
    base_url="https://generativelanguage.googleapis.com",
    wire=Gemini(),
    sign=header("x-goog-api-key"),
    takes_urls=False,
)

BUILTIN: Final = (OPENAI, ANTHROPIC, GEMINI)
"""In the order in which a bare model name looks for its provider."""

COMPATIBLE: Final[Wire] = OpenAIChat(sampling_fields=COMPATIBLE_SAMPLING, max_tokens_field="max_tokens")


def compatible(name: str, base_url: str, dialect: str) -> Provider:
    """Somebody's own server that speaks a dialect we know; it need not ask for a key."""
    like = {"openai": None, "anthropic": ANTHROPIC, "gemini": GEMINI}[dialect]
    wire, sign = (like.wire, like.sign) if like else (COMPATIBLE, bearer)
    return Provider(name=name, base_url=base_url, wire=wire, sign=sign, needs_key=False, takes_urls=False)
