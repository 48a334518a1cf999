"""Gemini's batches: the requests go in with the batch, and the answers come out with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import orjson
from msgspec import Raw, Struct, field

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire import dialect
from trunkline_server.wire.bulk import (
    MEBIBYTE,
    PAGE_BYTES_MAX,
    UNTOLD,
    BulkCraft,
    Entry,
    Line,
    Page,
    Standing,
    id_of,
    index_of,
    is_told,
    results_at,
    share,
)
from trunkline_server.wire.gemini.names import qualified
from trunkline_server.wire.http import HttpRequest

VERSION: Final = "/v1beta"
OVER: Final = frozenset(("SUCCEEDED", "EXPIRED", "CANCELLED"))
STATUSES: Final = {3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 11: 400, 13: 500, 14: 503, 16: 401}
"""By code of `google.rpc.Status`."""


class Name(Struct):
    """What we called a request."""

    key: str | None = None


class Fault(Struct):
    """Why a request failed."""

    code: int = 13


class Answer(Struct):
    """What came of a request."""

    metadata: Name | None = None
    response: Raw = UNTOLD
    error: Fault | None = None


class Answers(Struct, rename="camel"):
    """All of them."""

    inlined_responses: list[Answer] | None = None


class Output(Struct, rename="camel"):
    """All of them, one level further down."""

    inlined_responses: Answers | None = None


class Stats(Struct, rename="camel"):
    """How many are done; numbers come as texts."""

    request_count: str | int = 0
    pending_request_count: str | int = 0


class Metadata(Struct, rename="camel"):
    """How far it is."""

    state: str = ""
    batch_stats: Stats = field(default_factory=Stats)
    output: Output | None = None


class Batch(Struct):
    """A batch."""

    name: str = ""
    metadata: Metadata = field(default_factory=Metadata)
    response: Output | None = None


_BATCH: Final = msgspec.json.Decoder(Batch)


@dataclass(frozen=True)
class GeminiBulk(BulkCraft):
    """The craft. The model is told once for all."""

    poll_s: float = 30.0
    body_bytes_max: int = 20 * MEBIBYTE
    in_lines: bool = False

    def submit(self, model: str, lines: Sequence[Line], uploaded: str) -> HttpRequest:  # noqa: ARG002 - needs none
        requests = {"requests": [_request(line) for line in lines]}
        wanted = {"batch": {"displayName": "trunkline", "inputConfig": {"requests": requests}}}
        path = f"{VERSION}/{qualified(model)}:batchGenerateContent"
        return HttpRequest("POST", path, dialect.JSON_HEADERS, dialect.spell(wanted))

    def submitted(self, uploaded: str, body: bytes) -> str:  # noqa: ARG002 - the batch has a name of its own
        return id_of(dialect.parse(_BATCH, body).name.removeprefix("batches/"))

    def poll(self, operation: str) -> HttpRequest:
        return results_at(f"{VERSION}/batches/{operation}", PAGE_BYTES_MAX)

    def polled(self, operation: str, body: bytes) -> Standing:
        told = dialect.parse(_BATCH, body).metadata
        state = told.state.removeprefix("BATCH_STATE_").removeprefix("JOB_STATE_")
        if state == "FAILED":
            return Standing(results=(), failure=UpstreamFailure(FailureKind.INVALID, code="failed"))
        if state not in OVER:
            total, left = _number(told.batch_stats.request_count), _number(told.batch_stats.pending_request_count)
            return Standing(share(total - left, total))
        return Standing(results=(self.poll(operation),), expired=state == "EXPIRED")

    def page(self, operation: str, body: bytes) -> Page:  # noqa: ARG002 - it is in the body
        batch = dialect.parse(_BATCH, body)
        output = batch.response or batch.metadata.output
        answers = output.inlined_responses.inlined_responses if output and output.inlined_responses else None
        return Page([entry for answer in answers or () if (entry := _entry(answer))])

    def cancel(self, operation: str) -> HttpRequest:
        return HttpRequest("POST", f"{VERSION}/batches/{operation}:cancel", dialect.JSON_HEADERS, b"{}")


def _request(line: Line) -> dict[str, object]:
    return {"request": orjson.Fragment(line.request.body), "metadata": {"key": str(line.index)}}


def _entry(answer: Answer) -> Entry | None:
    index = index_of(answer.metadata.key if answer.metadata else None)
    if is_told(answer.response):
        return Entry(index, 200, bytes(answer.response))
    if answer.error is None:
        return None
    status = STATUSES.get(answer.error.code, 500)
    return Entry(index, status, dialect.spell({"error": {"code": status}}))


def _number(told: str | int) -> int:
    return int(told) if str(told).isdigit() else 0
