"""What becomes of texts that are embedded or put in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import overload

from trunkline.amounts import to_decimal
from trunkline.v1 import embeddings_pb2


@dataclass(frozen=True)
class Vectors(Sequence[Sequence[float]]):
    """One for each text, in order, with the bill."""

    response: embeddings_pb2.EmbedResponse

    @overload
    def __getitem__(self, index: int) -> Sequence[float]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sequence[float]]: ...
    def __getitem__(self, index: int | slice) -> Sequence[float] | Sequence[Sequence[float]]:
        found = self.response.embeddings[index]
        return found.values if isinstance(found, embeddings_pb2.Embedding) else [each.values for each in found]

    def __len__(self) -> int:
        return len(self.response.embeddings)

    def __iter__(self) -> Iterator[Sequence[float]]:
        return (each.values for each in self.response.embeddings)

    @property
    def model(self) -> str:
        """Who made them: `provider/model`."""
        return f"{self.response.receipt.provider}/{self.response.receipt.model}"

    @property
    def charge(self) -> Decimal:
        return to_decimal(self.response.receipt.charge)


@dataclass(frozen=True)
class Ranked:
    """A document, and how well it answers."""

    index: int
    score: float
    document: str
