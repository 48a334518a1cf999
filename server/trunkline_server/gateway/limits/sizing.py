"""How a chat looks to the limits: who asks whom, and how many tokens it is taken for until its bill is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.v1 import chat_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.rate_limit import Subject

OUTPUT_TOKENS_GUESSED: Final = 1024
"""An answer without a bound is taken for no longer: its model's own limit would lock others out."""
TEAM_LABEL: Final = "team"


def subject_of(call: Call, provider: str, model: str, labels: Mapping[str, str]) -> Subject:
    """Who asks whom."""
    return Subject(call.user_id, call.caller.principal, provider, model, labels.get(TEAM_LABEL, ""))


def tokens_of(input: chat_pb2.ChatInput, input_tokens: int, output_tokens_max: int) -> int:
    """Input by estimate, output by what the caller allows."""
    sampling = input.sampling
    told = sampling.HasField("max_output_tokens")
    length = output_tokens_max if told else min(output_tokens_max, OUTPUT_TOKENS_GUESSED)
    return input_tokens + length * max(sampling.candidate_count, 1)
