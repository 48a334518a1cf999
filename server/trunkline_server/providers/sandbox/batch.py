"""Batches by the sandbox, in the dialect of OpenAI's files and batches. They are remembered as long as its process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

import msgspec
import orjson
from msgspec import Raw

from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.providers.sandbox import reply as replies
from trunkline_server.providers.sandbox.recording import form
from trunkline_server.providers.sandbox.refusal import Refusal
from trunkline_server.providers.sandbox.reply import Piece, Reply
from trunkline_server.providers.sandbox.turn import CREATED_S
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.openai_bulk import VERSION

BATCHES_MAX: Final = 100
ASKED_BEFORE_IT_IS_DONE: Final = 1

Ask: TypeAlias = Callable[[HttpRequest], Reply]
ThingT = TypeVar("ThingT")


class Wanted(msgspec.Struct, frozen=True):
    """A request for a batch."""

    input_file_id: str


class Line(msgspec.Struct, frozen=True):
    """A line of the file."""

    custom_id: str
    url: str
    body: Raw


@dataclass(slots=True)
class Begun:
    """A batch. Its file has the same number."""

    number: str
    lines: list[bytes]
    asked: int = 0
    cancelled: bool = False

    @property
    def is_done(self) -> bool:
        return self.asked > ASKED_BEFORE_IT_IS_DONE


_WANTED: Final = msgspec.json.Decoder(Wanted)
_LINE: Final = msgspec.json.Decoder(Line)


class Batches:
    """`ask` answers a question of a batch as if it had come alone. `files` by name, in lines."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.files: OrderedDict[str, list[bytes]] = OrderedDict()
        self._begun: OrderedDict[str, Begun] = OrderedDict()
        self._count = 0

    def uploaded(self, request: HttpRequest) -> Reply:
        """A file is kept. Raises Refusal."""
        lines = form(request).get("file", b"").splitlines()
        if not lines:
            raise Refusal(400, "invalid_request", "the form has no file")
        self._count += 1
        name = f"file-{self._count}"
        _keep(self.files, name, lines)
        return replies.body({"id": name, "object": "file", "purpose": "batch"})

    def begun(self, request: HttpRequest) -> Reply:
        """A batch is begun. Raises Refusal."""
        try:
            lines = self.files[_WANTED.decode(request.body).input_file_id]
        except (KeyError, ValueError, RecursionError) as error:
            raise Refusal(400, "invalid_request", "the body names no file that is here") from error
        self._count += 1
        batch = Begun(str(self._count), lines)
        _keep(self._begun, f"batch_{batch.number}", batch)
        return replies.body(_told(batch, "validating"))

    def cancelled(self, path: str) -> Reply:
        """A batch ends before its time, unless it is done. Raises Refusal."""
        batch = self._find(path.removeprefix("/batches/").removesuffix("/cancel"))
        batch.cancelled = not batch.is_done
        return replies.body(_told(batch, "cancelling"))

    def shown(self, path: str) -> Reply:
        """How far a batch is, or its answers. Raises Refusal."""
        if path.startswith("/files/"):
            batch = self._find(path.removeprefix("/files/output-").removesuffix("/content"))
            return Reply(200, {"content-type": "application/octet-stream"}, self._answers(batch))
        batch = self._find(path.removeprefix("/batches/"))
        batch.asked += not batch.cancelled
        status = "cancelled" if batch.cancelled else "completed" if batch.is_done else "in_progress"
        return replies.body(_told(batch, status))

    def _find(self, name: str) -> Begun:
        if name not in self._begun:
            raise Refusal(404, "not_found", "there is no such batch")
        return self._begun[name]

    def _answers(self, batch: Begun) -> Iterator[Piece]:
        for text in batch.lines:
            line = _LINE.decode(text)
            reply = self._reply(line)
            response = {"status_code": reply.status, "body": _body_of(reply)}
            yield Piece(orjson.dumps({"custom_id": line.custom_id, "response": response, "error": None}) + b"\n")

    def _reply(self, line: Line) -> Reply:
        try:
            return self._ask(HttpRequest("POST", line.url.removeprefix(VERSION), {}, bytes(line.body)))
        except Refusal as refusal:
            return replies.body(replies.error(refusal.status, refusal.code, refusal.message), refusal.status)


def _keep(kept: OrderedDict[str, ThingT], name: str, thing: ThingT) -> None:
    kept[name] = thing
    if len(kept) > BATCHES_MAX:
        kept.popitem(last=False)


def _body_of(reply: Reply) -> orjson.Fragment:
    """Whole; what breaks off in the middle, or is no JSON, is empty."""
    try:
        data = b"".join(piece.data for piece in reply.pieces)
        orjson.loads(data)
    except (UpstreamFailure, ValueError):
        data = b"{}"
    return orjson.Fragment(data)


def _told(batch: Begun, status: str) -> dict[str, object]:
    total, done = len(batch.lines), status == "completed"
    return {
        "id": f"batch_{batch.number}",
        "object": "batch",
        "created_at": CREATED_S,
        "status": status,
        "output_file_id": f"output-batch_{batch.number}" if done else None,
        "request_counts": {"total": total, "completed": total if done else 0, "failed": 0},
    }
