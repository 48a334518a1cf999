"""Files at a provider, and the vector stores that it makes of them, in OpenAI's dialect.

upload ──> create, add ──> (the provider reads) ──> search ──> remove, delete
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from trunkline.v1 import vector_stores_pb2
from trunkline_server.wire import dialect
from trunkline_server.wire.bulk import id_of
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.multipart import multipart

LIMIT_DEFAULT: Final = 10
INT32_MAX: Final = 2**31 - 1
READING: Final = "in_progress"
EXPIRED: Final = "expired"
_JSON: Final = {"accept": "application/json"}


class Named(Struct):
    """Whatever was made."""

    id: str | None = None


class Counts(Struct):
    """How far a store's files are."""

    in_progress: float | None = None
    completed: float | None = None
    failed: float | None = None
    cancelled: float | None = None


class Standing(Struct):
    """A store."""

    status: str | None = None
    file_counts: Counts | None = None
    usage_bytes: float | None = None


class Text(Struct):
    """A part of a passage."""

    text: str | None = None


class Found(Struct):
    """A passage."""

    file_id: str | None = None
    filename: str | None = None
    score: float | None = None
    content: list[Text] | None = None


class FoundPage(Struct):
    """The passages."""

    data: list[Found] | None = None


_NAMED: Final = msgspec.json.Decoder(Named)
_STANDING: Final = msgspec.json.Decoder(Standing)
_FOUND: Final = msgspec.json.Decoder(FoundPage)


@dataclass(frozen=True)
class StoredFiles:
    """The craft of files. `bytes_max`: what the provider takes, and we hold at once."""

    bytes_max: int = 64 * 1024 * 1024

    def upload(self, filename: str, media_type: str, purpose: str, data: bytes) -> HttpRequest:
        content_type, body = multipart([("purpose", purpose)], [("file", filename, media_type, data)])
        return HttpRequest("POST", "/files", {**_JSON, "content-type": content_type}, body)

    def uploaded(self, body: bytes) -> str:
        """What the provider calls it."""
        return id_of(dialect.parse(_NAMED, body).id)

    def delete(self, name: str) -> HttpRequest:
        return HttpRequest("DELETE", f"/files/{name}", _JSON)


@dataclass(frozen=True)
class VectorStores:
    """The craft of vector stores. `purpose`: what their files are told to be for. `search_tool`: the type of the
    provider's own tool that looks into them in a chat; empty where it has none."""

    purpose: str = "assistants"
    search_tool: str = ""

    def create(self, name: str, files: Sequence[str], idle_days: int = 0) -> HttpRequest:
        """`idle_days`: when the provider forgets it by itself, unless it is used."""
        wanted: dict[str, object] = {"name": name, "file_ids": list(files)}
        if idle_days:
            wanted["expires_after"] = {"anchor": "last_active_at", "days": idle_days}
        return _post("/vector_stores", wanted)

    def created(self, body: bytes) -> str:
        """What the provider calls it."""
        return id_of(dialect.parse(_NAMED, body).id)

    def show(self, store: str) -> HttpRequest:
        return HttpRequest("GET", f"/vector_stores/{store}", _JSON)

    def shown(self, body: bytes) -> vector_stores_pb2.VectorStoreStanding:
        told = dialect.parse(_STANDING, body)
        counts = told.file_counts or Counts()
        return vector_stores_pb2.VectorStoreStanding(
            ready_count=_count(counts.completed),
            pending_count=_count(counts.in_progress),
            failed_count=min(INT32_MAX, _count(counts.failed) + _count(counts.cancelled)),
            size_bytes=dialect.count(told.usage_bytes),
        )

    def is_read(self, body: bytes, file_count: int) -> bool | None:
        """Whether so many files can be searched in it; None: not yet."""
        told, counts = dialect.parse(_STANDING, body), self.shown(body)
        if told.status == EXPIRED or counts.failed_count:
            return False
        if counts.pending_count or told.status == READING:
            return None
        return counts.ready_count >= file_count

    def delete(self, store: str) -> HttpRequest:
        return HttpRequest("DELETE", f"/vector_stores/{store}", _JSON)

    def add(self, store: str, file: str) -> HttpRequest:
        return _post(f"/vector_stores/{store}/files", {"file_id": file})

    def remove(self, store: str, file: str) -> HttpRequest:
        return HttpRequest("DELETE", f"/vector_stores/{store}/files/{file}", _JSON)

    def search(self, store: str, request: vector_stores_pb2.SearchVectorStoreRequest) -> HttpRequest:
        wanted: dict[str, object] = {"query": request.query, "max_num_results": request.limit or LIMIT_DEFAULT}
        if request.HasField("threshold"):
            wanted["ranking_options"] = {"score_threshold": request.threshold}
        return _post(f"/vector_stores/{store}/search", wanted)

    def found(self, body: bytes) -> list[vector_stores_pb2.Passage]:
        """`file_id` is the provider's."""
        return [_passage(each) for each in dialect.parse(_FOUND, body).data or ()]


def _post(path: str, body: dict[str, object]) -> HttpRequest:
    return HttpRequest("POST", path, dialect.JSON_HEADERS, dialect.spell(body))


def _passage(found: Found) -> vector_stores_pb2.Passage:
    return vector_stores_pb2.Passage(
        file_id=found.file_id or "",
        filename=found.filename or "",
        score=found.score or 0.0,
        text="\n".join(part.text for part in found.content or () if part.text),
    )


def _count(told: float | None) -> int:
    return min(INT32_MAX, dialect.count(told))
