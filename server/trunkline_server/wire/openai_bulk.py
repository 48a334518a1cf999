"""OpenAI's batches: a file with a request in each line, and two with the answers, good and bad."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import orjson
from msgspec import Raw, Struct

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.operation import Operation
from trunkline_server.wire import dialect
from trunkline_server.wire.bulk import (
    UNTOLD,
    BulkCraft,
    Entry,
    Line,
    Page,
    Standing,
    id_of,
    index_of,
    results_at,
    share,
)
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.multipart import multipart

VERSION: Final = "/v1"
OVER: Final = frozenset(("completed", "expired", "cancelled"))
NOT_DONE: Final = frozenset(("batch_expired", "batch_cancelled"))


class Counts(Struct):
    """How many lines are done."""

    total: float | None = None
    completed: float | None = None
    failed: float | None = None


class Fault(Struct):
    """Why something went wrong."""

    code: str | None = None


class Faults(Struct):
    """Why none of the lines was taken."""

    data: list[Fault] | None = None


class Named(Struct):
    """A file, or a batch and how far it is."""

    id: str
    status: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    request_counts: Counts | None = None
    errors: Faults | None = None


class Response(Struct):
    """As if the line had been asked alone."""

    status_code: int = 0
    body: Raw = UNTOLD


class Result(Struct):
    """A line of the results."""

    custom_id: str | None = None
    response: Response | None = None
    error: Fault | None = None


NAMED: Final = msgspec.json.Decoder(Named)
RESULT: Final = msgspec.json.Decoder(Result)


@dataclass(frozen=True)
class OpenAIBulk(BulkCraft):
    """The craft; for those who do the same, too."""

    poll_s: float = 30.0
    operations: Collection[Operation] = (Operation.CHAT, Operation.EMBED)

    def upload(self, lines: Sequence[Line]) -> HttpRequest:
        spelled = b"\n".join(map(_spelled, lines))
        file = ("file", "batch.jsonl", "application/jsonl", spelled)
        content_type, body = multipart([("purpose", "batch")], [file])
        return HttpRequest("POST", "/files", {"accept": "application/json", "content-type": content_type}, body)

    def uploaded(self, body: bytes) -> str:
        return id_of(dialect.parse(NAMED, body).id)

    def submit(self, model: str, lines: Sequence[Line], uploaded: str) -> HttpRequest:  # noqa: ARG002 - in the lines
        wanted = {
            "input_file_id": uploaded,
            "endpoint": VERSION + lines[0].request.path,
            "completion_window": "24h",
        }
        return HttpRequest("POST", "/batches", dialect.JSON_HEADERS, dialect.spell(wanted))

    def submitted(self, uploaded: str, body: bytes) -> str:  # noqa: ARG002 - the batch has a name of its own
        return id_of(dialect.parse(NAMED, body).id)

    def poll(self, operation: str) -> HttpRequest:
        return HttpRequest("GET", f"/batches/{operation}")

    def polled(self, operation: str, body: bytes) -> Standing:  # noqa: ARG002 - it is in the body
        batch = dialect.parse(NAMED, body)
        if batch.status == "failed":
            return Standing(results=(), failure=UpstreamFailure(FailureKind.INVALID, code=_code(batch)))
        if batch.status not in OVER:
            counts = batch.request_counts or Counts()
            return Standing(share((counts.completed or 0) + (counts.failed or 0), counts.total))
        files = [id_of(file) for file in (batch.output_file_id, batch.error_file_id) if file]
        results = [results_at(f"/files/{file}/content") for file in files]
        return Standing(results=results, expired=batch.status == "expired")

    def page(self, operation: str, body: bytes) -> Page:  # noqa: ARG002 - as above
        result = dialect.parse(RESULT, body)
        entry = entry_of(result)
        return Page() if entry is None else Page((entry,))

    def cancel(self, operation: str) -> HttpRequest:
        return HttpRequest("POST", f"/batches/{operation}/cancel", dialect.JSON_HEADERS)


def entry_of(result: Result) -> Entry | None:
    """None for a line that was never asked."""
    response, index = result.response, index_of(result.custom_id)
    if response is not None and response.status_code:
        return Entry(index, response.status_code, bytes(response.body))
    code = result.error.code if result.error else ""
    return None if code in NOT_DONE else Entry(index, 500, b"{}")


def _spelled(line: Line) -> bytes:
    body = orjson.Fragment(line.request.body)
    return dialect.spell(
        {"custom_id": str(line.index), "method": "POST", "url": VERSION + line.request.path, "body": body}
    )


def _code(batch: Named) -> str:
    faults = batch.errors.data if batch.errors else None
    return (faults[0].code or "") if faults else ""
