"""Vectors in a Qdrant: each collection is one there, named by its id alone.

Facts stand in its payload under names that no path can be read into, with the list of their keys beside them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from trunkline.v1 import collections_pb2, retrieval_pb2
from trunkline_server.core import ids
from trunkline_server.core.collections import filters
from trunkline_server.core.collections.metadata import Fact
from trunkline_server.core.collections.vectors import Near, Point, Space
from trunkline_server.core.errors import not_found
from trunkline_server.providers.vectors.remote import Remote

BATCH: Final = 200
KEYS: Final = "keys"
NUMBER_MAX: Final = sys.float_info.max

_DISTANCES: Final = {
    collections_pb2.METRIC_COSINE: "Cosine",
    collections_pb2.METRIC_DOT_PRODUCT: "Dot",
    collections_pb2.METRIC_EUCLIDEAN: "Euclid",
}
_BOUNDS: Final = {"greater_than": "gt", "at_least": "gte", "less_than": "lt", "at_most": "lte"}


class Qdrant:
    """A `VectorStore`, by Qdrant's REST API."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def create(self, space: Space) -> None:
        vectors = {"size": space.dimensions, "distance": _DISTANCES[space.metric]}
        await self._remote.ask("PUT", _path(space), {"vectors": vectors})

    async def drop(self, space: Space) -> None:
        await self._remote.ask("DELETE", _path(space))

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        for start in range(0, len(points), BATCH):
            batch = [_spelled(point) for point in points[start : start + BATCH]]
            await self._in(space, "PUT", "/points?wait=true", {"points": batch})

    async def remove(self, space: Space, chunk_ids: Sequence[UUID]) -> None:
        await self._in(space, "POST", "/points/delete?wait=true", {"points": [str(each) for each in chunk_ids]})

    async def vectors(self, space: Space, chunk_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[float]]:
        asked = {"ids": [str(each) for each in chunk_ids], "with_vector": True, "with_payload": False}
        found = await self._in(space, "POST", "/points", asked)
        return {UUID(point["id"]): point["vector"] for point in found["result"]}

    async def nearest(
        self, space: Space, vector: Sequence[float], filter: retrieval_pb2.MetadataFilter, limit: int
    ) -> list[Near]:
        asked = {"query": list(vector), "filter": _filter(filter), "limit": limit, "with_payload": False}
        found = await self._in(space, "POST", "/points/query", asked)
        points = found["result"]["points"]
        return [Near(UUID(point["id"]), _similarity(space, point["score"])) for point in points]

    async def page(self, space: Space, after: str, limit: int) -> tuple[list[UUID], str]:
        asked = {"limit": limit, "offset": after or None, "with_payload": False, "with_vector": False}
        found = (await self._in(space, "POST", "/points/scroll", asked))["result"]
        return [UUID(point["id"]) for point in found["points"]], found["next_page_offset"] or ""

    async def _in(self, space: Space, method: str, path: str, body: object) -> Any:
        answer = await self._remote.ask(method, _path(space) + path, body)
        if answer is None:
            raise not_found("collection", ids.spell("coll", space.collection_id))
        return answer


def _path(space: Space) -> str:
    return f"/collections/trunkline_{space.collection_id.hex}"


def _spelled(point: Point) -> dict[str, Any]:
    payload = {**{_name(key): fact for key, fact in point.facts.items()}, KEYS: list(point.facts)}
    return {"id": str(point.chunk_id), "vector": list(point.vector), "payload": payload}


def _name(key: str) -> str:
    """Of a fact: a key with a dot in it would be a path."""
    return f"fact_{key.encode().hex()}"


def _filter(filter: retrieval_pb2.MetadataFilter) -> dict[str, Any]:
    parts = {part: [_condition(each) for each in getattr(filter, part)] for part in ("must", "should", "must_not")}
    return {part: conditions for part, conditions in parts.items() if conditions}


def _condition(condition: retrieval_pb2.Condition) -> dict[str, Any]:
    name = _name(condition.key)
    match condition.WhichOneof("test"):
        case "exists":
            there = {"key": KEYS, "match": {"value": condition.key}}
            return there if condition.exists else {"must_not": [there]}
        case "range":
            bounds = {_BOUNDS[bound]: number for bound, _, number in filters.bounds_of(condition)}
            return {"key": name, "range": bounds or {"gte": -NUMBER_MAX}}
        case _:
            return {"should": [_equals(name, value) for value in filters.values_of(condition)]}


def _equals(name: str, value: Fact) -> dict[str, Any]:
    """It compares texts and flags; numbers only by range."""
    if isinstance(value, float) and not isinstance(value, bool):
        return {"key": name, "range": {"gte": value, "lte": value}}
    return {"key": name, "match": {"value": value}}


def _similarity(space: Space, score: float) -> float:
    """It tells similarities, and of the distance between two vectors the distance."""
    return 1 / (1 + score) if space.metric == collections_pb2.METRIC_EUCLIDEAN else score
