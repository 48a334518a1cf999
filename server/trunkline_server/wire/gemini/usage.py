"""Usage as the provider reports it."""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.v1 import usage_pb2
from trunkline_server.wire.dialect import count
from trunkline_server.wire.gemini.shapes import ModalityCount, UsageMetadata


def read_usage(told: UsageMetadata, search_count: int) -> usage_pb2.Usage:
    """What hosted tools add to the prompt is input, thoughts are output; the provider counts both apart."""
    usage = usage_pb2.Usage()
    usage.input_tokens = count(count(told.prompt_token_count) + count(told.tool_use_prompt_token_count))
    usage.cached_input_tokens = count(told.cached_content_token_count)
    usage.reasoning_output_tokens = count(told.thoughts_token_count)
    usage.output_tokens = count(count(told.candidates_token_count) + count(told.thoughts_token_count))
    usage.source = usage_pb2.USAGE_SOURCE_PROVIDER
    if search_count:
        usage.unit_counts["searches"] = search_count
    if told.prompt_tokens_details is not None:
        _add_sound(usage, told)
    return usage


def of_kind(details: Sequence[ModalityCount] | None, modality: str) -> int:
    """The tokens of one kind."""
    return count(sum(count(each.token_count) for each in details or () if each.modality == modality))


def _add_sound(usage: usage_pb2.Usage, told: UsageMetadata) -> None:
    """What of the input was sound, which costs more; the part that came from a cache is counted apart."""
    cached = of_kind(told.cache_tokens_details, "AUDIO")
    heard = of_kind(told.prompt_tokens_details, "AUDIO") - cached
    usage.unit_counts.update({unit: n for unit, n in (("input_audio", heard), ("cached_audio", cached)) if n > 0})
