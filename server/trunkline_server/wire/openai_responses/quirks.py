"""What servers that speak the dialect do differently from OpenAI, as data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

OPENAI_SAMPLING: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_logprobs": "top_logprobs",
}
COMPATIBLE_SAMPLING: Final[Mapping[str, str]] = {
    **OPENAI_SAMPLING,
    "top_k": "top_k",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
THOUGHTLESS: Final = re.compile(r"(?:^|[/:])(?:gpt-[34]|chatgpt)|-chat(?:-|$)")


@dataclass(frozen=True)
class Quirks:
    """The defaults are OpenAI's own. An empty field name means that the server has no such field.

    `sampling_fields` maps fields of our `Sampling` to the server's; what it lacks is dropped with a warning.
    `thoughtless` finds the names of models that do not think: they refuse thoughts, and to be asked for them.
    `count_path` is where it counts input tokens.
    """

    sampling_fields: Mapping[str, str] = field(default_factory=lambda: OPENAI_SAMPLING)
    thoughtless: re.Pattern[str] = THOUGHTLESS
    end_user_field: str = "user"
    developer_role: bool = True
    count_path: str = "/responses/input_tokens"

    def thinks(self, model: str) -> bool:
        """Whether a model of that name has thoughts."""
        return self.thoughtless.search(model) is None
