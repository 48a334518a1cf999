"""What came back for work that is no chat."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from google.protobuf.message import Message

from trunkline.v1 import usage_pb2

BodyT = TypeVar("BodyT", bound=Message)

COUNTS: Final = (
    *("input_tokens", "cached_input_tokens", "cache_write_input_tokens"),
    *("output_tokens", "reasoning_output_tokens"),
)


@dataclass(slots=True)
class Product(Generic[BodyT]):
    """`body` is the service's response, still without its receipt. `usage` None: the provider told nothing, so what
    was asked for is counted. `filtered`: the provider's safety filter withheld something."""

    body: BodyT
    usage: usage_pb2.Usage | None = None
    model: str = ""
    response_id: str = ""
    filtered: bool = False


def usage_of_all(products: Iterable[Product[BodyT]]) -> usage_pb2.Usage | None:
    """What they used together; None where one of them was told nothing of it."""
    total = usage_pb2.Usage(source=usage_pb2.USAGE_SOURCE_PROVIDER)
    for product in products:
        if product.usage is None:
            return None
        for count in COUNTS:
            setattr(total, count, getattr(total, count) + getattr(product.usage, count))
        for unit, number in product.usage.unit_counts.items():
            total.unit_counts[unit] += number
    return total


@dataclass(slots=True)
class Sound:
    """Speech as it comes in. A decoder says what it is and adds pieces; whoever hears it takes them out."""

    media_type: str = ""
    usage: usage_pb2.Usage | None = None
    response_id: str = ""
    byte_count: int = 0
    finished: bool = False
    _pieces: deque[bytes] = field(default_factory=deque)

    def add(self, piece: bytes) -> None:
        if piece:
            self.byte_count += len(piece)
            self._pieces.append(piece)

    def drain(self) -> bytes:
        """What has come in since last time."""
        pieces, self._pieces = self._pieces, deque()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
