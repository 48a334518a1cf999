"""Mistral's batch jobs: the requests go in with the job, and the answers come out with it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.operation import Operation
from trunkline_server.wire import dialect
from trunkline_server.wire.bulk import (
    PAGE_BYTES_MAX,
    BulkCraft,
    Line,
    Page,
    Standing,
    id_of,
    results_at,
    share,
    without,
)
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.openai_bulk import VERSION, Result, entry_of

OVER: Final = frozenset(("SUCCESS", "TIMEOUT_EXCEEDED", "CANCELLED"))


class Job(Struct):
    """A job and how far it is."""

    id: str
    status: str | None = None
    total_requests: float | None = None
    completed_requests: float | None = None
    outputs: list[Result] | None = None


_JOB: Final = msgspec.json.Decoder(Job)


@dataclass(frozen=True)
class MistralBulk(BulkCraft):
    """The craft. The model is told once for all."""

    poll_s: float = 30.0
    in_lines: bool = False
    operations: Collection[Operation] = (Operation.CHAT, Operation.EMBED)

    def submit(self, model: str, lines: Sequence[Line], uploaded: str) -> HttpRequest:  # noqa: ARG002 - needs none
        requests = [{"custom_id": str(line.index), "body": _bare(line)} for line in lines]
        wanted = {"endpoint": VERSION + lines[0].request.path, "model": model, "requests": requests}
        return HttpRequest("POST", "/batch/jobs", dialect.JSON_HEADERS, msgspec.json.encode(wanted))

    def submitted(self, uploaded: str, body: bytes) -> str:  # noqa: ARG002 - the job has a name of its own
        return id_of(dialect.parse(_JOB, body).id)

    def poll(self, operation: str) -> HttpRequest:
        return HttpRequest("GET", f"/batch/jobs/{operation}")

    def polled(self, operation: str, body: bytes) -> Standing:
        job = dialect.parse(_JOB, body)
        if job.status == "FAILED":
            return Standing(results=(), failure=UpstreamFailure(FailureKind.INVALID, code="failed"))
        if job.status not in OVER:
            return Standing(share(job.completed_requests, job.total_requests))
        results = (results_at(f"/batch/jobs/{operation}?inline=true", PAGE_BYTES_MAX),)
        return Standing(results=results, expired=job.status == "TIMEOUT_EXCEEDED")

    def page(self, operation: str, body: bytes) -> Page:  # noqa: ARG002 - it is in the body
        entries = map(entry_of, dialect.parse(_JOB, body).outputs or ())
        return Page([entry for entry in entries if entry is not None])

    def cancel(self, operation: str) -> HttpRequest:
        return HttpRequest("POST", f"/batch/jobs/{operation}/cancel", dialect.JSON_HEADERS)


def _bare(line: Line) -> dict[str, msgspec.Raw]:
    return without(line.request.body, "model")
