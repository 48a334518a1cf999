"""xAI's batches: one is opened, requests are put into it, and the answers come in pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

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
from trunkline_server.wire.http import HttpRequest

PAGE_LINES: Final = 100


class Counts(Struct):
    """How many requests are done."""

    num_requests: float = 0
    num_pending: float = 0


class Batch(Struct):
    """A batch and how far it is."""

    batch_id: str
    state: Counts = field(default_factory=Counts)


class Response(Struct):
    """The answer, by what was asked."""

    chat_get_completion: Raw = UNTOLD


class Outcome(Struct):
    """An answer, or none."""

    response: Response | None = None


class Result(Struct):
    """One of the results."""

    batch_request_id: str | None = None
    batch_result: Outcome | None = None


class Results(Struct):
    """A page."""

    results: list[Result] | None = None
    pagination_token: str | None = None


_BATCH: Final = msgspec.json.Decoder(Batch)
_RESULTS: Final = msgspec.json.Decoder(Results)


@dataclass(frozen=True)
class XAIBulk(BulkCraft):
    """The craft. An open batch without requests costs nothing."""

    price_percent: int = 80
    poll_s: float = 30.0
    body_bytes_max: int = 25 * MEBIBYTE
    in_lines: bool = False

    def upload(self, lines: Sequence[Line]) -> HttpRequest:
        name = f"trunkline {len(lines)}"
        return HttpRequest("POST", "/batches", dialect.JSON_HEADERS, dialect.spell({"name": name}))

    def uploaded(self, body: bytes) -> str:
        return id_of(dialect.parse(_BATCH, body).batch_id)

    def submit(self, model: str, lines: Sequence[Line], uploaded: str) -> HttpRequest:  # noqa: ARG002 - in the lines
        spelled = dialect.spell({"batch_requests": [_request(line) for line in lines]})
        return HttpRequest("POST", f"/batches/{uploaded}/requests", dialect.JSON_HEADERS, spelled)

    def submitted(self, uploaded: str, body: bytes) -> str:  # noqa: ARG002 - it has its name already
        return uploaded

    def poll(self, operation: str) -> HttpRequest:
        return HttpRequest("GET", f"/batches/{operation}")

    def polled(self, operation: str, body: bytes) -> Standing:
        counts = dialect.parse(_BATCH, body).state
        if not counts.num_requests or counts.num_pending:
            return Standing(share(counts.num_requests - counts.num_pending, counts.num_requests))
        return Standing(results=(_page_at(operation),))

    def page(self, operation: str, body: bytes) -> Page:
        told = dialect.parse(_RESULTS, body)
        onward = _page_at(operation, told.pagination_token) if told.pagination_token else None
        return Page([_entry(result) for result in told.results or ()], onward)

    def cancel(self, operation: str) -> HttpRequest:
        return HttpRequest("POST", f"/batches/{operation}:cancel", dialect.JSON_HEADERS, b"{}")


def _request(line: Line) -> dict[str, object]:
    body = orjson.Fragment(line.request.body)
    return {"batch_request_id": str(line.index), "batch_request": {"chat_get_completion": body}}


def _entry(result: Result) -> Entry:
    index = index_of(result.batch_request_id)
    response = result.batch_result.response if result.batch_result else None
    if response is None or not is_told(response.chat_get_completion):
        return Entry(index, 500, b"{}")
    return Entry(index, 200, bytes(response.chat_get_completion))


def _page_at(operation: str, token: str = "") -> HttpRequest:
    if len(token) > 1024:
        raise UpstreamFailure(FailureKind.BROKEN)
    behind = f"&pagination_token={quote(token, safe='')}" if token else ""
    return results_at(f"/batches/{operation}/results?limit={PAGE_LINES}{behind}", PAGE_BYTES_MAX)
