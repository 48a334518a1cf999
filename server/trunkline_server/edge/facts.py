"""What other APIs have no field for, told in headers: who answered, the bill, and why not."""

from __future__ import annotations

import math

from google.protobuf.message import Message

from trunkline.v1 import chat_pb2, receipt_pb2
from trunkline_server.core.errors import TrunklineError
from trunkline_server.door.boundary import Visit
from trunkline_server.edge.exchange import Headers


def answer_headers(visit: Visit, answer: Message | None) -> Headers:
    """Of an answer, or of a stream at its first event."""
    provider, model = _origin(answer)
    told = (("x-trunkline-provider", provider), ("x-trunkline-model", model))
    return (*visit.trailers, *(pair for pair in told if pair[1]))


def error_headers(visit: Visit, error: TrunklineError) -> Headers:
    """`x-should-retry` and `retry-after` are what the official SDKs go by."""
    told = (*visit.trailers, ("x-trunkline-reason", error.reason.value))
    if error.retry_after_s is None:
        return (*told, ("x-should-retry", "false"))
    return (*told, ("x-should-retry", "true"), ("retry-after", str(math.ceil(error.retry_after_s))))


def _origin(answer: Message | None) -> tuple[str, str]:
    match answer:
        case chat_pb2.CompleteResponse():
            return answer.completion.provider, answer.completion.model
        case chat_pb2.StreamResponse():
            return answer.event.started.provider, answer.event.started.model
        case Message() if "receipt" in answer.DESCRIPTOR.fields_by_name:
            receipt: receipt_pb2.Receipt = getattr(answer, "receipt")  # noqa: B009 - of many types
            return receipt.provider, receipt.model
        case _:
            return "", ""
