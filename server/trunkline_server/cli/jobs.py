"""`trunkline jobs`: what is queued, how it goes, and a hand on it."""

from __future__ import annotations

from typing import Final, TextIO

import click

from trunkline.v1 import jobs_pb2, jobs_pb2_grpc
from trunkline_server.cli.bar import Bar
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.orders import read
from trunkline_server.cli.plain import plain
from trunkline_server.cli.rows import amount, as_json_option, listing, show, show_fields, show_json, when

WATCH_TIMEOUT_S: Final = 900.0
STATES: Final = ("queued", "delayed", "running", "succeeded", "failed", "cancelled")


@click.group("jobs")
def command() -> None:
    """Make jobs, list them, look at them, watch, cancel and retry them."""


@command.command("create")
@click.argument("spec", type=click.File(encoding="utf-8"))
@click.option("--queue", default="", help="Its queue.  [default: default]")
@click.option("--priority", type=click.IntRange(-100, 100), default=0, help="Higher ones go first.")
@click.option("--user", default="", help="The end user whom it is charged to.")
@click.option("--request-id", default="", help="Makes it safe to type this again.")
@to_gateway
def create(gateway: Gateway, /, *, spec: TextIO, queue: str, priority: int, user: str, request_id: str) -> None:
    """Make a job of the file SPEC, or of stdin where it is -, and print its id.

    SPEC is a JobSpec as JSON, such as {"chat": {"model": "...", "messages": [...]}}.
    """
    method = jobs_pb2_grpc.JobServiceStub(gateway.channel).CreateJob
    request = jobs_pb2.CreateJobRequest(queue=queue, priority=priority, request_id=request_id)
    read(spec.read(), request.spec, "the file")
    click.echo(gateway.call(method, request, user).job.job_id)


@command.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only in this state.")
@click.option("--queue", default="", help="Only of this queue.")
@click.option("--user", default="", help="Only this user's.")
@listing(50)
@to_gateway
def list_(gateway: Gateway, /, *, state: str | None, queue: str, user: str, limit: int | None, as_json: bool) -> None:
    """List the tenant's jobs, newest first."""
    method = jobs_pb2_grpc.JobServiceStub(gateway.channel).ListJobs
    asked = jobs_pb2.JobState.Value(f"JOB_STATE_{(state or 'unspecified').upper()}")
    request = jobs_pb2.ListJobsRequest(state=asked, queue=queue, user_id=user)
    rows = [job for page in gateway.pages(method, request, limit) for job in page.jobs]
    show(rows, _COLUMNS, as_json=as_json)


@command.command("show")
@click.argument("job_id")
@as_json_option
@to_gateway
def show_(gateway: Gateway, /, *, job_id: str, as_json: bool) -> None:
    """Show a job and what came of it."""
    method = jobs_pb2_grpc.JobServiceStub(gateway.channel).GetJob
    _tell(gateway.call(method, jobs_pb2.GetJobRequest(job_id=job_id)).job, as_json=as_json)


@command.command("watch")
@click.argument("job_id")
@as_json_option
@to_gateway
@click.pass_context
def watch(ctx: click.Context, gateway: Gateway, /, *, job_id: str, as_json: bool) -> None:
    """Follow a job to its end; the exit code is 1 where it does not succeed."""
    method = jobs_pb2_grpc.JobServiceStub(gateway.channel).WatchJob
    request = jobs_pb2.WatchJobRequest(job_id=job_id)
    job = jobs_pb2.Job()
    with Bar(hidden=as_json) as bar:
        for told in method(request, metadata=gateway.metadata(), timeout=WATCH_TIMEOUT_S):
            job = told.job
            bar.show(job.progress.fraction, f"{_state(job)} {plain(job.progress.message)}")
            if as_json:
                show_json(job)
    if not as_json:
        _tell(job, as_json=False)
    ctx.exit(0 if job.state == jobs_pb2.JOB_STATE_SUCCEEDED else 1)


@command.command("cancel")
@click.argument("job_id")
@to_gateway
def cancel(gateway: Gateway, /, *, job_id: str) -> None:
    """Stop a job; one that runs ends a little later."""
    method = jobs_pb2_grpc.JobServiceStub(gateway.channel).CancelJob
    job = gateway.call(method, jobs_pb2.CancelJobRequest(job_id=job_id)).job
    click.echo(f"{job.job_id} is {'being cancelled' if job.cancel_requested else _state(job)}")


@command.command("retry")
@click.argument("job_id")
@to_gateway
def retry(gateway: Gateway, /, *, job_id: str) -> None:
    """Make a new job of one that has ended, and print its id."""
    method = jobs_pb2_grpc.JobServiceStub(gateway.channel).RetryJob
    click.echo(gateway.call(method, jobs_pb2.RetryJobRequest(job_id=job_id)).job.job_id)


@command.command("stats")
@click.option("--queue", default="", help="Only of this queue.")
@click.option("--user", default="", help="Only this user's.")
@as_json_option
@to_gateway
def stats(gateway: Gateway, /, *, queue: str, user: str, as_json: bool) -> None:
    """Count jobs, and say how they did."""
    method = jobs_pb2_grpc.JobServiceStub(gateway.channel).GetJobStats
    found = gateway.call(method, jobs_pb2.GetJobStatsRequest(queue=queue, user_id=user)).stats
    show_fields(found, _STATS, as_json=as_json)


def _tell(job: jobs_pb2.Job, *, as_json: bool) -> None:
    show_fields(job, _FIELDS, as_json=as_json)
    if not as_json:
        for candidate in job.result.completion.candidates[:1]:
            click.echo(plain("".join(part.text.text for part in candidate.message.parts)))


def _state(job: jobs_pb2.Job) -> str:
    return jobs_pb2.JobState.Name(job.state).removeprefix("JOB_STATE_").lower()


def _delay(job: jobs_pb2.Job) -> str:
    if not job.delay_reason:
        return ""
    reason = jobs_pb2.DelayReason.Name(job.delay_reason).removeprefix("DELAY_REASON_").lower()
    return f"{reason.replace('_', ' ')} until {when(job.next_attempt_time)}"


_COLUMNS = {
    "JOB": lambda job: job.job_id,
    "STATE": _state,
    "QUEUE": lambda job: job.queue,
    "USER": lambda job: job.user_id,
    "TRIES": lambda job: f"{job.attempt_count}/{job.max_attempts}",
    "MADE": lambda job: when(job.create_time),
    "CREDITS": lambda job: amount(job.charge),
}
_FIELDS = {
    "job": lambda job: job.job_id,
    "state": _state,
    "waits": _delay,
    "queue": lambda job: job.queue,
    "user": lambda job: job.user_id,
    "tries": lambda job: f"{job.attempt_count}/{job.max_attempts}",
    "made": lambda job: when(job.create_time),
    "begun": lambda job: when(job.start_time),
    "ended": lambda job: when(job.end_time),
    "fell back on": lambda job: job.fallback_model,
    "error": lambda job: job.error.message,
    "credits": lambda job: amount(job.charge),
}
_STATS = {
    "jobs": lambda stats: str(stats.total_count),
    "queued": lambda stats: str(stats.queued_count),
    "delayed": lambda stats: str(stats.delayed_count),
    "running": lambda stats: str(stats.running_count),
    "succeeded": lambda stats: str(stats.succeeded_count),
    "failed": lambda stats: str(stats.failed_count),
    "cancelled": lambda stats: str(stats.cancelled_count),
    "success rate": lambda stats: f"{stats.success_rate:.1%}" if stats.HasField("success_rate") else "",
    "average time": lambda stats: f"{stats.average_run_duration.ToTimedelta().total_seconds():.2f} s",
    "average wait": lambda stats: f"{stats.average_wait_duration.ToTimedelta().total_seconds():.2f} s",
}
