"""The providers that ship with the gateway: each is a module of this name with a `PROVIDER`, and nothing else."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from trunkline_server.providers.provider import Provider

NAMES: Final = (
    *("openai", "anthropic", "gemini", "mistral", "cohere", "groq", "xai"),
    *("huggingface", "ollama", "stability", "fal", "elevenlabs", "openrouter"),
)
"""In the order in which a bare model name looks for its provider. `<NAME>_API_KEY`, `<NAME>_BASE_URL` are theirs."""


def declarations() -> tuple[Provider, ...]:
    """All of them; a function, so that whoever needs only their names does not load an HTTP client."""
    return tuple(declaration(name) for name in NAMES)


def declaration(name: str) -> Provider:
    """One of them."""
    provider: Provider = import_module(f"{__name__}.{name}").PROVIDER
    return provider
