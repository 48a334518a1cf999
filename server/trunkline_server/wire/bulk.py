"""What a provider does by its own batch API: many questions handed in at once, answered within a day, for less.

upload ──> submit ──> poll ... ──> results        `upload` may be sent again, `submit` is sent once

A question and its answer are spelled as the wire spells them; a craft puts many of them into one envelope.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.operation import Operation
from trunkline_server.wire.dialect import FIELDS
from trunkline_server.wire.http import HttpRequest

MEBIBYTE: Final = 1024 * 1024
RESULT_BYTES_MAX: Final = 1024 * MEBIBYTE
"""Of all answers together, where they are read line by line."""
PAGE_BYTES_MAX: Final = 256 * MEBIBYTE
UNTOLD: Final = msgspec.Raw(b"null")
_INDEX: Final = re.compile(r"\d{1,9}", re.ASCII)
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Line:
    """A question in a batch: its place, and the request that would ask it alone."""

    index: int
    request: HttpRequest


@dataclass(frozen=True, slots=True)
class Entry:
    """The answer to a line, with status and body as if it had been asked alone."""

    index: int
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Some answers, and where there are more."""

    entries: Sequence[Entry] = ()
    onward: HttpRequest | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a batch is. `results` None: the provider is still at it; else where the answers are. `expired`: it had
    no time for the lines that have no answer. `failure`: why it took none of them."""

    percent: int = 0
    results: Sequence[HttpRequest] | None = None
    expired: bool = False
    failure: UpstreamFailure | None = None


class BulkCraft(ABC):
    """`price_percent`: what its batches cost of what single calls do. `in_lines`: the answers are lines of JSON, each
    a page of its own. `operations`: what its lines may ask for."""

    price_percent: int = 50
    poll_s: float = 30.0
    body_bytes_max: int = 100 * MEBIBYTE
    in_lines: bool = True
    operations: Collection[Operation] = (Operation.CHAT,)

    def upload(self, lines: Sequence[Line]) -> HttpRequest | None:  # noqa: ARG002 - most providers need none
        """What has to be there before the batch; it costs nothing, and may be there twice."""
        return None

    def uploaded(self, body: bytes) -> str:  # noqa: ARG002 - as above
        """What the provider calls it."""
        return ""

    @abstractmethod
    def submit(self, model: str, lines: Sequence[Line], uploaded: str) -> HttpRequest:
        """Begins the batch. Never sent twice."""

    @abstractmethod
    def submitted(self, uploaded: str, body: bytes) -> str:
        """What the provider calls the batch."""

    @abstractmethod
    def poll(self, operation: str) -> HttpRequest:
        """Asks how far it is."""

    @abstractmethod
    def polled(self, operation: str, body: bytes) -> Standing:
        """How far it is."""

    @abstractmethod
    def page(self, operation: str, body: bytes) -> Page:
        """Answers from the results: of one line, or of a whole body."""

    @abstractmethod
    def cancel(self, operation: str) -> HttpRequest:
        """Asks to end it early; what is answered by then stays."""


def id_of(told: str | None) -> str:
    """A provider's id that may go into a path. Raises UpstreamFailure."""
    if told is None or not _ID.fullmatch(told):
        raise UpstreamFailure(FailureKind.BROKEN)
    return told


def index_of(told: str | None) -> int:
    """The place of a line by the name that we gave it; -1 for a name that is not ours."""
    return int(told) if told is not None and _INDEX.fullmatch(told) else -1


def is_told(piece: msgspec.Raw) -> bool:
    """Whether something stands there."""
    return bytes(piece) != b"null"


def results_at(path: str, limit: int = RESULT_BYTES_MAX) -> HttpRequest:
    """Gets results, of which there may be many."""
    return HttpRequest("GET", path, answer_bytes_max=limit)


def share(done: float | None, total: float | None) -> int:
    """Percent that are done."""
    return min(99, int(100 * (done or 0) / total)) if total else 0


def without(body: bytes, *names: str) -> dict[str, msgspec.Raw]:
    """A spelled question without what the envelope says for all."""
    return {name: value for name, value in FIELDS.decode(body).items() if name not in names}
