"""Work with nobody waiting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from trunkline.outcome import Outcome
from trunkline.question import Question
from trunkline.sync.connection import Connection, Events
from trunkline.sync.pending import Pending
from trunkline.v1 import jobs_pb2, jobs_pb2_grpc
from trunkline.work import Work, duration, spec_of, timestamp


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


class Job(Outcome, Pending):
    """A job, as it was when it was last looked at."""

    def __init__(self, connection: Connection, job: jobs_pb2.Job) -> None:
        super().__init__(connection)
        self._stub = jobs_pb2_grpc.JobServiceStub(connection.channel)
        self.job = job

    @property
    def job_id(self) -> str:
        return self.job.job_id

    @property
    def state(self) -> str:
        """`QUEUED`, `DELAYED`, `RUNNING`, `SUCCEEDED`, `FAILED` or `CANCELLED`."""
        return jobs_pb2.JobState.Name(self.job.state).removeprefix("JOB_STATE_")

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

    @property
    def _told(self) -> jobs_pb2.Job:
        return self.job

    @property
    def _progress(self) -> tuple[float, str]:
        progress = self.job.progress
        return 1.0 if self.has_ended else progress.fraction, progress.message or self.state.lower()

    def _changes(self, left_s: float | None) -> Events[jobs_pb2.WatchJobResponse]:
        request = jobs_pb2.WatchJobRequest(job_id=self.job_id, after_revision=self.job.revision)
        return self._connection.stream(self._stub.WatchJob, request, timeout_s=left_s)

    def _take(self, change: jobs_pb2.WatchJobResponse) -> bool:
        if change.HasField("job"):
            self.job = change.job
        return change.HasField("job")
