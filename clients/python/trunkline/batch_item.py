"""One piece of a batch."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.outcome import Outcome
from trunkline.v1 import batches_pb2


@dataclass(frozen=True)
class BatchItem(Outcome):
    """Its place, and what came of it."""

    item: batches_pb2.BatchItem

    @property
    def index(self) -> int:
        return self.item.index

    @property
    def custom_id(self) -> str:
        return self.item.custom_id

    @property
    def _told(self) -> batches_pb2.BatchItem:
        return self.item
