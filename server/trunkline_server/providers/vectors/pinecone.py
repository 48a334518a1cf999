"""Vectors in Pinecone: one index for each length and metric, in which each collection is a namespace.

A namespace is made and looked for by name, because writing to one that is gone would make it anew.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from trunkline.v1 import collections_pb2, retrieval_pb2
from trunkline_server.core import ids
from trunkline_server.core.collections.vectors import Near, Point, Space
from trunkline_server.core.collections.words import Test, numbers_of, test_of, words_of
from trunkline_server.core.errors import TrunklineError, not_found, store_unavailable
from trunkline_server.providers.vectors.remote import NOT_FOUND, Remote

API_VERSION: Final = "2025-10"
FETCHED: Final = 50
"""Ids in one address."""
NUMBERS_MAX: Final = 60_000
"""Of the vectors in one request, which may have 2 MB."""
POINTS_MAX: Final = 200
PAGE_MAX: Final = 100
READY_EVERY_S: Final = 1.0
READY_WITHIN_S: Final = 25.0
EVERY: Final = "point"
"""A word that every point has: a list without any is not told from none."""

_MISSING_OR_MADE: Final = NOT_FOUND | {409}
_METRICS: Final = {
    collections_pb2.METRIC_COSINE: "cosine",
    collections_pb2.METRIC_DOT_PRODUCT: "dotproduct",
    collections_pb2.METRIC_EUCLIDEAN: "euclidean",
}
_BOUNDS: Final = {"greater_than": "$gt", "at_least": "$gte", "less_than": "$lt", "at_most": "$lte"}
_OUTSIDE: Final = {"greater_than": "$lte", "at_least": "$lt", "less_than": "$gte", "at_most": "$gt"}


@dataclass(frozen=True, slots=True)
class Region:
    """Where indexes are made."""

    cloud: str
    name: str


class Pinecone:
    """A `VectorStore`, by Pinecone's REST API. `control` makes indexes; each is then asked at its own host."""

    def __init__(
        self, control: Remote, dial: Callable[[str], Remote], region: Region, ready_every_s: float = READY_EVERY_S
    ) -> None:
        self._control = control
        self._dial = dial
        self._region = region
        self._ready_every_s = ready_every_s
        self._indexes: dict[str, Remote] = {}

    async def create(self, space: Space) -> None:
        index = await self._index(space) or await self._made(space)
        await index.ask("POST", "/namespaces", {"name": _namespace(space)}, missing=_MISSING_OR_MADE)
        await self._until(lambda: self._is_there(index, space))

    async def drop(self, space: Space) -> None:
        if index := await self._index(space):
            await index.ask("DELETE", f"/namespaces/{_namespace(space)}")

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        index = await self._known(space)
        if not await self._is_there(index, space):
            raise _gone(space)
        at_once = max(1, min(POINTS_MAX, NUMBERS_MAX // space.dimensions))
        for start in range(0, len(points), at_once):
            vectors = [_spelled(point) for point in points[start : start + at_once]]
            await self._asked(index, space, "/vectors/upsert", {"vectors": vectors})

    async def remove(self, space: Space, chunk_ids: Sequence[UUID]) -> None:
        index = await self._known(space)
        for start in range(0, len(chunk_ids), POINTS_MAX):
            named = [str(each) for each in chunk_ids[start : start + POINTS_MAX]]
            await self._asked(index, space, "/vectors/delete", {"ids": named})

    async def vectors(self, space: Space, chunk_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[float]]:
        index = await self._known(space)
        found: dict[UUID, Sequence[float]] = {}
        for start in range(0, len(chunk_ids), FETCHED):
            named = [("ids", str(each)) for each in chunk_ids[start : start + FETCHED]]
            told = await index.ask("GET", _at("/vectors/fetch", space, *named)) or {"vectors": {}}
            found.update((UUID(name), each["values"]) for name, each in told["vectors"].items())
        await self._check(index, space, found)
        return found

    async def nearest(
        self, space: Space, vector: Sequence[float], filter: retrieval_pb2.MetadataFilter, limit: int
    ) -> list[Near]:
        index = await self._known(space)
        asked: dict[str, Any] = {"vector": list(vector), "topK": limit}
        if clauses := _clauses(filter):
            asked["filter"] = {"$and": clauses}
        told = await self._asked(index, space, "/query", asked)
        await self._check(index, space, told["matches"])
        return [Near(UUID(each["id"]), _similarity(space, each["score"])) for each in told["matches"]]

    async def page(self, space: Space, after: str, limit: int) -> tuple[list[UUID], str]:
        index = await self._known(space)
        behind = [("paginationToken", after)] if after else []
        told = await index.ask("GET", _at("/vectors/list", space, ("limit", min(limit, PAGE_MAX)), *behind))
        if told is None:
            raise _gone(space)
        return [UUID(each["id"]) for each in told["vectors"]], (told.get("pagination") or {}).get("next", "")

    async def _asked(self, index: Remote, space: Space, path: str, body: Mapping[str, object]) -> Any:
        told = await index.ask("POST", path, {**body, "namespace": _namespace(space)})
        if told is None:
            raise _gone(space)
        return told

    async def _check(self, index: Remote, space: Space, found: object) -> None:
        """Of a namespace that is gone it tells that nothing is in it."""
        if not found and not await self._is_there(index, space):
            raise _gone(space)

    async def _is_there(self, index: Remote, space: Space) -> bool:
        return await index.ask("GET", f"/namespaces/{_namespace(space)}") is not None

    async def _known(self, space: Space) -> Remote:
        index = await self._index(space)
        if index is None:
            raise _gone(space)
        return index

    async def _index(self, space: Space) -> Remote | None:
        name = _name(space)
        if name not in self._indexes:
            told = await self._control.ask("GET", f"/indexes/{name}")
            if told is None or not told["status"]["ready"]:
                return None
            self._indexes[name] = self._dial(told["host"])
        return self._indexes[name]

    async def _made(self, space: Space) -> Remote:
        """Raises STORE_UNAVAILABLE where it is not ready soon: it will be for the next who asks."""
        spelled = {
            "name": _name(space),
            "dimension": space.dimensions,
            "metric": _METRICS[space.metric],
            "spec": {"serverless": {"cloud": self._region.cloud, "region": self._region.name}},
        }
        await self._control.ask("POST", "/indexes", spelled, missing=_MISSING_OR_MADE)
        await self._until(lambda: self._index(space))
        return await self._known(space)

    async def _until(self, there: Callable[[], Any]) -> None:
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while not await there():  # noqa: ASYNC110 - it is looked at over there
                    await asyncio.sleep(self._ready_every_s)
        except TimeoutError as error:
            raise store_unavailable() from error


def _name(space: Space) -> str:
    return f"trunkline-{space.dimensions}-{_METRICS[space.metric]}"


def _namespace(space: Space) -> str:
    return space.collection_id.hex


def _at(path: str, space: Space, *more: tuple[str, object]) -> str:
    return f"{path}?{urlencode([('namespace', _namespace(space)), *more])}"


def _gone(space: Space) -> TrunklineError:
    return not_found("collection", ids.spell("coll", space.collection_id))


def _spelled(point: Point) -> dict[str, Any]:
    told = {"words": [EVERY, *words_of(point.facts)], **numbers_of(point.facts)}
    return {"id": str(point.chunk_id), "values": list(point.vector), "metadata": told}


def _clauses(filter: retrieval_pb2.MetadataFilter) -> list[dict[str, Any]]:
    clauses = [_holds(test_of(each)) for each in filter.must]
    if filter.should:
        clauses.append({"$or": [_holds(test_of(each)) for each in filter.should]})
    clauses.extend(_fails(test_of(each)) for each in filter.must_not)
    return clauses


def _holds(test: Test) -> dict[str, Any]:
    if test.negated:
        return _none(test.words)
    return {"$and": [_any(test.words), *({test.field: {_BOUNDS[name]: number}} for name, number in test.bounds)]}


def _fails(test: Test) -> dict[str, Any]:
    """It has no word for the opposite of a clause."""
    if test.negated:
        return _any(test.words)
    return {"$or": [_none(test.words), *({test.field: {_OUTSIDE[name]: number}} for name, number in test.bounds)]}


def _any(words: Sequence[str]) -> dict[str, Any]:
    return {"words": {"$in": list(words)}}


def _none(words: Sequence[str]) -> dict[str, Any]:
    return {"words": {"$nin": list(words)}}


def _similarity(space: Space, score: float) -> float:
    """It tells similarities, and of the distance between two vectors its square."""
    return 1 / (1 + math.sqrt(score)) if space.metric == collections_pb2.METRIC_EUCLIDEAN else score
