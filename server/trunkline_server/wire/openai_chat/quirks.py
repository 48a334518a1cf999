"""What servers that speak the dialect do differently from OpenAI, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trunkline_server.wire.openai_chat.price_list import PriceList

OPENAI_SAMPLING: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "candidate_count": "n",
    "seed": "seed",
    "top_logprobs": "top_logprobs",
}
COMPATIBLE_SAMPLING: Final[Mapping[str, str]] = {**OPENAI_SAMPLING, "top_k": "top_k"}


@dataclass(frozen=True)
class Quirks:
    """The defaults are OpenAI's own. An empty field name means that the server has no such field.

    `sampling_fields` maps fields of our `Sampling` to the server's; what it lacks is dropped with a warning.
    `thoughts_field` is where the server shows a model's thoughts and takes them back.
    `thought_blocks_field` is where it sends blocks of its own with them, such as signatures, and wants those back.
    `counts_thoughts_apart`: its completion tokens do not include the reasoning tokens.
    `speaker_names`: a message can say who speaks.
    `price_list`: how its list of models tells what they cost; None: not at all.
    `call_id_chars`: it takes only ids of tool calls that are exactly so many letters and digits; 0: any.
    """

    sampling_fields: Mapping[str, str] = field(default_factory=lambda: OPENAI_SAMPLING)
    max_tokens_field: str = "max_completion_tokens"
    stop_sequences_max: int = 4
    end_user_field: str = "user"
    thoughts_field: str = ""
    thought_blocks_field: str = ""
    counts_thoughts_apart: bool = False
    cache_marks: bool = False
    developer_role: bool = True
    sends_stream_options: bool = True
    required_tool_choice: str = "required"
    speaker_names: bool = True
    price_list: PriceList | None = None
    call_id_chars: int = 0
