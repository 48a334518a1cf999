"""Jobs in the words of the contract."""

from __future__ import annotations

from typing import Final

import msgspec
from google.protobuf.duration_pb2 import Duration
from google.rpc import status_pb2

from trunkline.v1 import jobs_pb2, usage_pb2
from trunkline_server.core import ids, money
from trunkline_server.core.errors import Describe, Reason, TrunklineError
from trunkline_server.core.moment import duration, timestamp
from trunkline_server.store.job import JobCounts, JobRow

_WHY: Final = {
    Reason.JOB_EXPIRED: "the job had not ended when its time was over",
    Reason.JOB_POISONED: "too many workers were lost while they were at the job",
    Reason.CANCELLED: "the job was cancelled",
    Reason.DRAINING: "its worker went away",
}


def job_message(row: JobRow, describe: Describe) -> jobs_pb2.Job:
    """A job as it stands; what its row leaves out stays unset."""
    job = jobs_pb2.Job(
        job_id=ids.spell("job", row.id),
        state=jobs_pb2.JobState.Value(f"JOB_STATE_{row.state.upper()}"),
        attempt_count=row.attempt,
        max_attempts=row.max_attempts,
        create_time=timestamp(row.created_at),
        start_time=timestamp(row.started_at),
        end_time=timestamp(row.ended_at),
        expire_time=timestamp(row.expires_at),
        cost=money.usd(row.cost_nano_usd),
        charge=money.credits(row.charge_nanos),
        fallback_model=row.fallback_model,
        queue=row.queue,
        priority=row.priority,
        user_id=row.user_id,
        batch_id=ids.spell("batch", row.batch_id) if row.batch_id else "",
        retry_of_job_id=ids.spell("job", row.retry_of) if row.retry_of else "",
        revision=row.revision,
        labels=msgspec.json.decode(row.labels),
        cancel_requested=row.cancel_requested,
        timeout=Duration(seconds=row.timeout_s),
        rescue_count=row.rescues,
    )
    _add_waiting(row, job)
    _add_outcome(row, job, describe)
    return job


def _add_waiting(row: JobRow, job: jobs_pb2.Job) -> None:
    if row.delay_reason:
        job.delay_reason = jobs_pb2.DelayReason.Value(f"DELAY_REASON_{row.delay_reason.upper()}")
        job.next_attempt_time.FromDatetime(row.run_at)
    if row.progress_at is not None:
        job.progress.message = row.progress_message
        job.progress.update_time.FromDatetime(row.progress_at)
    job.progress.fraction = row.progress


def _add_outcome(row: JobRow, job: jobs_pb2.Job, describe: Describe) -> None:
    if row.spec:
        job.spec.CopyFrom(jobs_pb2.JobSpec.FromString(row.spec))
    if row.result is not None:
        job.result.CopyFrom(jobs_pb2.JobResult.FromString(row.result))
    if row.usage is not None:
        job.usage.CopyFrom(usage_pb2.Usage.FromString(row.usage))
    if row.error is not None:
        job.error.CopyFrom(status_pb2.Status.FromString(row.error))
    elif row.error_reason:
        reason = Reason(row.error_reason)
        told = TrunklineError(reason, _WHY.get(reason, "the job has ended"))
        job.error.CopyFrom(describe(told, job.job_id))


def stats_message(counts: JobCounts) -> jobs_pb2.JobStats:
    """How jobs did."""
    judged = counts.succeeded + counts.failed
    return jobs_pb2.JobStats(
        total_count=counts.total,
        queued_count=counts.queued,
        delayed_count=counts.delayed,
        running_count=counts.running,
        succeeded_count=counts.succeeded,
        failed_count=counts.failed,
        cancelled_count=counts.cancelled,
        success_rate=counts.succeeded / judged if judged else None,
        average_run_duration=duration(counts.run_s),
        average_wait_duration=duration(counts.wait_s),
    )
