"""Usage as the server counts it: thoughts are among the output tokens."""

from __future__ import annotations

from trunkline.v1 import usage_pb2
from trunkline_server.wire.dialect import count
from trunkline_server.wire.ollama.shapes import Reply


def usage_of(told: Reply) -> usage_pb2.Usage | None:
    """The counts; None where the server tells none. It leaves out those that are zero, as of a cached prompt."""
    if told.prompt_eval_count is None and told.eval_count is None:
        return None
    return usage_pb2.Usage(
        input_tokens=count(told.prompt_eval_count),
        output_tokens=count(told.eval_count),
        source=usage_pb2.USAGE_SOURCE_PROVIDER,
    )
