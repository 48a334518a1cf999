"""Work with nobody waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from trunkline.answer import Answer
from trunkline.errors import Cancelled, TimedOut, Unavailable
from trunkline.media import Film, Several, films
from trunkline.progress import Wanted, teller
from trunkline.question import Question
from trunkline.refusals import error_in
from trunkline.sync.connection import Connection
from trunkline.v1 import jobs_pb2, jobs_pb2_grpc
from trunkline.waiting import AGAIN_S, Patience
from trunkline.work import ENDED, Work, duration, spec_of, timestamp


class Jobs:
    """The jobs of a gateway."""

    def __init__(self, connection: Connection, question: Question) -> None:
        self._connection = connection
        self._question = question
        self._stub = jobs_pb2_grpc.JobServiceStub(connection.channel)

    def submit(
        self,
        work: Work,
        *,
        queue: str = "",
        priority: int = 0,
        at: datetime | None = None,
        attempt_timeout: timedelta | None = None,
        attempts_max: int | None = None,
        labels: Mapping[str, str] | None = None,
        callback_uri: str = "",
    ) -> Job:
        """Queues it: a question in plain words, or the input of any call. `at`: not before this time."""
        request = jobs_pb2.CreateJobRequest(
            spec=spec_of(work, self._question),
            request_id=self._question.request_id,
            queue=queue,
            priority=priority,
            schedule_time=timestamp(at),
            timeout=duration(attempt_timeout),
            max_attempts=attempts_max,
            labels=labels,
            callback_uri=callback_uri,
        )
        made = self._connection.look(self._stub.CreateJob, request, user=self._question.user)
        return Job(self._connection, made.job)

    def get(self, job_id: str) -> Job:
        found = self._connection.look(self._stub.GetJob, jobs_pb2.GetJobRequest(job_id=job_id))
        return Job(self._connection, found.job)

    def list(self, *, queue: str = "", user: str = "") -> Iterator[Job]:
        """Newest first, without their specs and results."""
        request = jobs_pb2.ListJobsRequest(queue=queue, user_id=user)
        for page in self._connection.pages(self._stub.ListJobs, request):
            for job in page.jobs:
                yield Job(self._connection, job)


class Job:
    """A job, as it was when it was last looked at."""

    def __init__(self, connection: Connection, job: jobs_pb2.Job) -> None:
        self._connection = connection
        self._stub = jobs_pb2_grpc.JobServiceStub(connection.channel)
        self.job = job

    @property
    def job_id(self) -> str:
        return self.job.job_id

    @property
    def state(self) -> str:
        """`QUEUED`, `DELAYED`, `RUNNING`, `SUCCEEDED`, `FAILED` or `CANCELLED`."""
        return jobs_pb2.JobState.Name(self.job.state).removeprefix("JOB_STATE_")

    @property
    def has_ended(self) -> bool:
        return self.job.state in ENDED

    @property
    def result(self) -> jobs_pb2.JobResult:
        """What came of it. Raises why it failed, where it failed."""
        if self.job.state == jobs_pb2.JOB_STATE_SUCCEEDED:
            return self.job.result
        if self.job.state == jobs_pb2.JOB_STATE_CANCELLED:
            raise Cancelled(f"{self.job_id} was cancelled")
        if self.job.state == jobs_pb2.JOB_STATE_FAILED:
            raise error_in(self.job.error)
        raise RuntimeError(f"{self.job_id} has not ended: wait for it first")

    @property
    def answer(self) -> Answer:
        """What a chat job was answered."""
        completion = self.result.completion
        return Answer(completion, (completion,))

    @property
    def films(self) -> Several[Film]:
        """What came of `videos.generate`."""
        return films(self.result.video)

    def wait(self, *, timeout_s: float | None = None, progress: Wanted = False) -> Job:
        """Until it has ended, across replicas that come and go. `progress`: draw a bar, or call this."""
        tell, end = teller(progress)
        try:
            for job in self.watch(timeout_s=timeout_s):
                tell(1.0 if job.has_ended else job.job.progress.fraction, job.job.progress.message or job.state.lower())
        finally:
            end()
        return self

    def watch(self, *, timeout_s: float | None = None) -> Iterator[Job]:
        """The job after each change. Raises `TimedOut` when it has not ended by then; the job goes on."""
        patience = Patience(timeout_s)
        while not self.has_ended:
            try:
                for _ in self._watched(patience.left_s):
                    yield self
            except (Unavailable, TimedOut) as error:
                time.sleep(patience.pause_s(error, AGAIN_S))

    def refresh(self) -> Job:
        request = jobs_pb2.GetJobRequest(job_id=self.job_id)
        self.job = (self._connection.look(self._stub.GetJob, request)).job
        return self

    def cancel(self) -> Job:
        """Stops it; what it used until then is charged."""
        request = jobs_pb2.CancelJobRequest(job_id=self.job_id)
        self.job = (self._connection.look(self._stub.CancelJob, request)).job
        return self

    def retry(self) -> Job:
        """A new job that does the same again."""
        made = self._connection.look(self._stub.RetryJob, jobs_pb2.RetryJobRequest(job_id=self.job_id))
        return Job(self._connection, made.job)

    def _watched(self, left_s: float | None) -> Iterator[jobs_pb2.Job]:
        request = jobs_pb2.WatchJobRequest(job_id=self.job_id, after_revision=self.job.revision)
        told = self._connection.stream(self._stub.WatchJob, request, timeout_s=left_s)
        try:
            for each in told:
                if each.HasField("job"):
                    self.job = each.job
                    yield each.job
        finally:
            told.cancel()
