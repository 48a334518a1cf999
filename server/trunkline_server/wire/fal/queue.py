"""FAL's queue: whatever a model makes, it is asked for, asked after and fetched alike, where the queue says."""

# ruff: noqa: ARG002 - not every craft needs all that it is given

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from trunkline_server.core.errand import Errand, InputT
from trunkline_server.core.errors import Reason, not_found
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import BodyT, Product
from trunkline_server.wire import dialect
from trunkline_server.wire.craft import LongCraft, Pending
from trunkline_server.wire.fal.failures import of_status_error
from trunkline_server.wire.http import HttpRequest, path_of

MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)+")
ACCEPT: Final = {"accept": "application/json"}
WAITING: Final = frozenset({"IN_QUEUE", "IN_PROGRESS"})


class Ticket(Struct):
    """The answer to a submission."""

    status_url: str
    response_url: str
    cancel_url: str


class Progress(Struct):
    """How far it is. That it is over does not mean that it went well."""

    status: str
    error: str | None = None
    error_type: str | None = None


class Kept(Struct, frozen=True, omit_defaults=True):
    """An operation: where to ask, fetch and stop; and how long a film was to be."""

    status: str
    response: str
    cancel: str
    duration_ms: int = 0


_TICKET: Final = msgspec.json.Decoder(Ticket)
_PROGRESS: Final = msgspec.json.Decoder(Progress)
_KEPT: Final = msgspec.json.Decoder(Kept)


class QueueCraft(LongCraft[InputT, BodyT]):
    """A craft that goes through the queue."""

    poll_s = 1.0

    @abstractmethod
    def body(self, errand: Errand[InputT]) -> dict[str, object]:
        """What the model is told."""

    @abstractmethod
    def made(self, errand: Errand[InputT], operation: Kept, body: bytes) -> Product[BodyT]:
        """What the model has made."""

    def duration_ms(self, errand: Errand[InputT]) -> int:
        """How long a film was to be; 0 where it is none, or that was not said."""
        return 0

    def submit(self, errand: Errand[InputT]) -> HttpRequest:
        if not MODEL.fullmatch(errand.model):
            raise not_found("model", errand.model, Reason.MODEL_NOT_FOUND)
        body = dialect.spell(dialect.merge(self.body(errand), errand.options))
        return HttpRequest("POST", f"/{errand.model}", dialect.JSON_HEADERS, body)

    def submitted(self, errand: Errand[InputT], headers: Mapping[str, str], body: bytes) -> str:
        ticket, owner = dialect.parse(_TICKET, body), f"/{errand.model.partition('/')[0]}/"
        kept = Kept(
            status=path_of(ticket.status_url, owner),
            response=path_of(ticket.response_url, owner),
            cancel=path_of(ticket.cancel_url, owner),
            duration_ms=self.duration_ms(errand),
        )
        return msgspec.json.encode(kept).decode()

    def poll(self, operation: str) -> HttpRequest:
        return HttpRequest("GET", _kept(operation).status, ACCEPT)

    def polled(
        self, errand: Errand[InputT], operation: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> Pending:
        progress = dialect.parse(_PROGRESS, body)
        if progress.error or progress.error_type:
            raise of_status_error(progress.error or "", progress.error_type or "")
        if progress.status in WAITING:
            return Pending()
        if progress.status != "COMPLETED":
            raise UpstreamFailure(FailureKind.BROKEN)
        return Pending(99, fetchable=True)

    def fetch(self, operation: str, body: bytes) -> HttpRequest:
        return HttpRequest("GET", _kept(operation).response, ACCEPT)

    def fetched(
        self, errand: Errand[InputT], operation: str, headers: Mapping[str, str], body: bytes
    ) -> Product[BodyT]:
        return self.made(errand, _kept(operation), body)

    def cancel(self, operation: str) -> HttpRequest:
        return HttpRequest("PUT", _kept(operation).cancel, ACCEPT)


def _kept(operation: str) -> Kept:
    return dialect.parse(_KEPT, operation.encode())
