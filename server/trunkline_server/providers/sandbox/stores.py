"""Vector stores of the sandbox, in OpenAI's dialect. A line is a passage; it is as near as its words agree."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from trunkline_server.providers.sandbox import reply as replies
from trunkline_server.providers.sandbox.refusal import Refusal
from trunkline_server.providers.sandbox.reply import Reply
from trunkline_server.wire.http import HttpRequest

STORES_MAX: Final = 100
_WORD: Final = re.compile(r"\w+")
Shape = TypeVar("Shape")


class Made(msgspec.Struct, frozen=True):
    """A store that is wanted."""

    name: str = ""
    file_ids: tuple[str, ...] = ()


class Added(msgspec.Struct, frozen=True):
    """A file for a store."""

    file_id: str


class Ranking(msgspec.Struct, frozen=True):
    """Which passages count."""

    score_threshold: float = 0.0


class Sought(msgspec.Struct, frozen=True):
    """A search."""

    query: str
    max_num_results: int = 10
    ranking_options: Ranking = Ranking()


@dataclass(slots=True)
class Store:
    """What is in it."""

    name: str
    file_ids: list[str] = field(default_factory=list)


class Stores:
    """`files` are those that were uploaded, in lines, by name."""

    def __init__(self, files: MutableMapping[str, list[bytes]]) -> None:
        self._files = files
        self._stores: OrderedDict[str, Store] = OrderedDict()
        self._count = 0

    def takes(self, request: HttpRequest) -> bool:
        """Whether this is for us."""
        path = request.path
        return path.startswith("/vector_stores") or (request.method == "DELETE" and path.startswith("/files/"))

    def answer(self, request: HttpRequest) -> Reply:
        """Raises Refusal."""
        match request.path.strip("/").split("/"):
            case ["files", name]:
                return self._deleted(self._files, name)
            case ["vector_stores"] if request.method == "POST":
                return self._made(_read(Made, request))
            case ["vector_stores", name]:
                return self._shown(request, name)
            case ["vector_stores", name, *inside]:
                return self._within(self._find(name), request, inside)
            case _:
                raise _missing(request)

    def _shown(self, request: HttpRequest, name: str) -> Reply:
        store = self._find(name)
        return self._deleted(self._stores, name) if request.method == "DELETE" else replies.body(_told(name, store))

    def _within(self, store: Store, request: HttpRequest, inside: Sequence[str]) -> Reply:
        match request.method, *inside:
            case "POST", "files":
                return self._added(store, _read(Added, request).file_id)
            case "DELETE", "files", file_id:
                return self._removed(store, file_id)
            case "POST", "search":
                return self._found(store, _read(Sought, request))
            case _:
                raise _missing(request)

    def _made(self, wanted: Made) -> Reply:
        self._count += 1
        name, store = f"vs_{self._count}", Store(wanted.name)
        for file_id in wanted.file_ids:
            self._added(store, file_id)
        self._stores[name] = store
        if len(self._stores) > STORES_MAX:
            self._stores.popitem(last=False)
        return replies.body(_told(name, store))

    def _added(self, store: Store, file_id: str) -> Reply:
        if file_id not in self._files:
            raise Refusal(404, "not_found", "there is no such file")
        if file_id not in store.file_ids:
            store.file_ids.append(file_id)
        return replies.body({"id": file_id, "object": "vector_store.file", "status": "completed"})

    def _removed(self, store: Store, file_id: str) -> Reply:
        if file_id not in store.file_ids:
            raise Refusal(404, "not_found", "the store has no such file")
        store.file_ids.remove(file_id)
        return replies.body({"id": file_id, "deleted": True})

    def _found(self, store: Store, sought: Sought) -> Reply:
        wanted = _words(sought.query)
        scored = sorted(self._scored(store, wanted), key=lambda each: (-each[0], each[1]))
        near = [each for each in scored if each[0] >= sought.ranking_options.score_threshold]
        found = [_passage(each) for each in near[: sought.max_num_results]]
        return replies.body({"object": "vector_store.search_results.page", "data": found})

    def _scored(self, store: Store, wanted: set[str]) -> Iterator[tuple[float, str, str]]:
        """The share of words that a line and the query have in common."""
        for file_id in store.file_ids:
            for line in self._files.get(file_id, ()):
                text = line.decode(errors="replace")
                if common := (words := _words(text)) & wanted:
                    yield len(common) / len(words | wanted), file_id, text

    def _find(self, name: str) -> Store:
        if name not in self._stores:
            raise Refusal(404, "not_found", "there is no such vector store")
        return self._stores[name]

    def _deleted(self, things: MutableMapping[str, Shape], name: str) -> Reply:
        if things.pop(name, None) is None:
            raise Refusal(404, "not_found", "there is nothing of that name")
        return replies.body({"id": name, "deleted": True})


def _missing(request: HttpRequest) -> Refusal:
    return Refusal(404, "not_found", f"there is no {request.method} {request.path} here")


def _read(shape: type[Shape], request: HttpRequest) -> Shape:
    try:
        return msgspec.json.decode(request.body, type=shape)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise Refusal(400, "invalid_request", "the body is not what it should be") from error


def _told(name: str, store: Store) -> dict[str, object]:
    counts = {"in_progress": 0, "completed": len(store.file_ids), "failed": 0, "cancelled": 0}
    return {"id": name, "object": "vector_store", "name": store.name, "status": "completed", "file_counts": counts}


def _passage(found: tuple[float, str, str]) -> dict[str, object]:
    score, file_id, text = found
    content = [{"type": "text", "text": text}]
    return {"file_id": file_id, "filename": f"{file_id}.txt", "score": score, "content": content}


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
