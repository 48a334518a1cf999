"""Usage as sound is billed: by length, by tokens, or both."""

from __future__ import annotations

from typing import Final

import msgspec

from trunkline.v1 import usage_pb2
from trunkline_server.wire.dialect import count

SECONDS_MAX: Final = 10.0**9


class InputDetails(msgspec.Struct, gc=False):
    """Which part of the input was sound."""

    audio_tokens: float | None = None


class UsageTold(msgspec.Struct, gc=False):
    """One shape for the names that are seen; OpenAI has two of them on one endpoint."""

    type: str | None = None
    seconds: float | None = None
    duration: float | None = None
    prompt_audio_seconds: float | None = None
    input_tokens: float | None = None
    prompt_tokens: float | None = None
    output_tokens: float | None = None
    completion_tokens: float | None = None
    input_token_details: InputDetails | None = None


def read_usage(told: UsageTold | None, length_s: float | None = None) -> usage_pb2.Usage | None:
    """None where nothing is told. `length_s` is how long the answer says the recording is."""
    told = told or UsageTold()
    audio_ms = milliseconds(told.seconds or told.duration or told.prompt_audio_seconds or 0.0)
    usage = usage_pb2.Usage(
        input_tokens=count(told.input_tokens or told.prompt_tokens),
        output_tokens=count(told.output_tokens or told.completion_tokens),
        source=usage_pb2.USAGE_SOURCE_PROVIDER,
    )
    if not audio_ms and not usage.input_tokens:
        audio_ms = milliseconds(length_s or 0.0)
    if audio_ms:
        usage.unit_counts["audio_ms"] = audio_ms
    if told.input_token_details and (tokens := count(told.input_token_details.audio_tokens)):
        usage.unit_counts["input_audio"] = tokens
    return usage if usage.unit_counts or usage.input_tokens or usage.output_tokens else None


def milliseconds(seconds: float) -> int:
    """What is negative, or longer than thirty years, is no length."""
    return round(seconds * 1000) if 0 <= seconds <= SECONDS_MAX else 0
