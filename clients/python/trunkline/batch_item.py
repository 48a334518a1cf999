"""One piece of a batch."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.answer import Answer
from trunkline.errors import Cancelled, TrunklineError
from trunkline.refusals import error_in
from trunkline.v1 import batches_pb2, jobs_pb2


@dataclass(frozen=True)
class BatchItem:
    """Its place, and what came of it."""

    item: batches_pb2.BatchItem

    @property
    def index(self) -> int:
        return self.item.index

    @property
    def custom_id(self) -> str:
        return self.item.custom_id

    @property
    def error(self) -> TrunklineError | None:
        """Why it has no result."""
        if self.item.state == jobs_pb2.JOB_STATE_CANCELLED:
            return Cancelled(f"item {self.index} was cancelled")
        return error_in(self.item.error) if self.item.state == jobs_pb2.JOB_STATE_FAILED else None

    @property
    def result(self) -> jobs_pb2.JobResult:
        """Raises why there is none."""
        if self.error is not None:
            raise self.error
        return self.item.result

    @property
    def answer(self) -> Answer:
        """What a question was answered."""
        completion = self.result.completion
        return Answer(completion, (completion,))
