"""Anthropic's message batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import orjson
from msgspec import Raw, Struct

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

PATH: Final = "/v1/messages/batches"
BETA: Final = "anthropic-beta"


class Counts(Struct):
    """How many requests there are of each kind."""

    processing: float = 0
    succeeded: float = 0
    errored: float = 0
    canceled: float = 0
    expired: float = 0


class Batch(Struct):
    """A batch and how far it is."""

    id: str
    processing_status: str | None = None
    request_counts: Counts | None = None


class Outcome(Struct):
    """What came of a request."""

    type: str | None = None
    message: Raw = UNTOLD
    error: Raw = UNTOLD


class Result(Struct):
    """A line of the results."""

    custom_id: str | None = None
    result: Outcome | None = None


_BATCH: Final = msgspec.json.Decoder(Batch)
_RESULT: Final = msgspec.json.Decoder(Result)


@dataclass(frozen=True)
class AnthropicBulk(BulkCraft):
    """The craft. `headers` go with every request."""

    headers: Mapping[str, str]
    poll_s: float = 30.0

    def submit(self, model: str, lines: Sequence[Line], uploaded: str) -> HttpRequest:  # noqa: ARG002 - in the lines
        requests = [{"custom_id": str(line.index), "params": orjson.Fragment(line.request.body)} for line in lines]
        betas = [beta for line in lines for beta in line.request.headers.get(BETA, "").split(",") if beta]
        more = {BETA: ",".join(dict.fromkeys(betas))} if betas else {}
        headers = {**dialect.JSON_HEADERS, **self.headers, **more}
        return HttpRequest("POST", PATH, headers, dialect.spell({"requests": requests}))

    def submitted(self, uploaded: str, body: bytes) -> str:  # noqa: ARG002 - the batch has a name of its own
        return id_of(dialect.parse(_BATCH, body).id)

    def poll(self, operation: str) -> HttpRequest:
        return HttpRequest("GET", f"{PATH}/{operation}", self.headers)

    def polled(self, operation: str, body: bytes) -> Standing:
        batch = dialect.parse(_BATCH, body)
        counts = batch.request_counts or Counts()
        if batch.processing_status != "ended":
            done = counts.succeeded + counts.errored + counts.canceled + counts.expired
            return Standing(share(done, done + counts.processing))
        at = results_at(f"{PATH}/{operation}/results")
        return Standing(results=(self._signed(at),), expired=counts.expired > 0)

    def page(self, operation: str, body: bytes) -> Page:  # noqa: ARG002 - it is in the body
        result = dialect.parse(_RESULT, body)
        index, outcome = index_of(result.custom_id), result.result or Outcome()
        match outcome.type:
            case "succeeded":
                return Page((Entry(index, 200, bytes(outcome.message)),))
            case "errored":
                return Page((Entry(index, 400, bytes(outcome.error)),))
            case _:
                return Page()

    def cancel(self, operation: str) -> HttpRequest:
        return HttpRequest("POST", f"{PATH}/{operation}/cancel", {**dialect.JSON_HEADERS, **self.headers})

    def _signed(self, request: HttpRequest) -> HttpRequest:
        return HttpRequest(
            request.method, request.path, self.headers, request.body, answer_bytes_max=request.answer_bytes_max
        )
