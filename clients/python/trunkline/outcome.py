"""What came of work that was done with nobody waiting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

from trunkline.answer import Answer
from trunkline.errors import Cancelled, TrunklineError
from trunkline.media import Film, Several, films
from trunkline.refusals import error_in
from trunkline.v1 import batches_pb2, jobs_pb2
from trunkline.work import ENDED

Told: TypeAlias = jobs_pb2.Job | batches_pb2.BatchItem


class Outcome(ABC):
    """Of a job, or of an item of a batch."""

    @property
    @abstractmethod
    def _told(self) -> Told: ...

    @property
    def has_ended(self) -> bool:
        return self._told.state in ENDED

    @property
    def error(self) -> TrunklineError | None:
        """Why it has no result."""
        told = self._told
        if told.state == jobs_pb2.JOB_STATE_CANCELLED:
            return Cancelled(f"{told.job_id} was cancelled")
        return error_in(told.error) if told.state == jobs_pb2.JOB_STATE_FAILED else None

    @property
    def result(self) -> jobs_pb2.JobResult:
        """Raises why there is none."""
        if not self.has_ended:
            raise RuntimeError(f"{self._told.job_id} has not ended: wait for it first")
        if self.error is not None:
            raise self.error
        return self._told.result

    @property
    def answer(self) -> Answer:
        """What a question was answered."""
        completion = self.result.completion
        return Answer(completion, (completion,))

    @property
    def films(self) -> Several[Film]:
        """What came of `videos.generate`."""
        return films(self.result.video)
