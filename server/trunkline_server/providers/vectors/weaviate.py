"""Vectors in a Weaviate: each collection is a class there, named by its id alone.

Objects are written, removed and listed by its REST API and found by GraphQL, which alone takes a vector to search by.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from trunkline.v1 import collections_pb2, retrieval_pb2
from trunkline_server.core import ids
from trunkline_server.core.collections.vectors import Near, Point, Space, similarity_of
from trunkline_server.core.collections.words import Test, numbers_of, test_of, words_of
from trunkline_server.core.errors import TrunklineError, not_found, store_unavailable
from trunkline_server.providers.vectors.remote import Remote

BATCH: Final = 200
EXISTS: Final = frozenset((422,))
"""How it answers to a field that is made a second time."""

_DISTANCES: Final = {
    collections_pb2.METRIC_COSINE: "cosine",
    collections_pb2.METRIC_DOT_PRODUCT: "dot",
    collections_pb2.METRIC_EUCLIDEAN: "l2-squared",
}
_BOUNDS: Final = {
    "greater_than": "GreaterThan",
    "at_least": "GreaterThanEqual",
    "less_than": "LessThan",
    "at_most": "LessThanEqual",
}
_WORDS: Final = {"name": "words", "dataType": ["text[]"], "tokenization": "field", "indexSearchable": False}


class Weaviate:
    """A `VectorStore`, by the APIs of Weaviate 1.33."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def create(self, space: Space) -> None:
        distance = {"distance": _DISTANCES[space.metric]}
        spelled = {"class": _class(space), "vectorizer": "none", "vectorIndexConfig": distance, "properties": [_WORDS]}
        await self._remote.ask("POST", "/v1/schema", spelled)

    async def drop(self, space: Space) -> None:
        await self._remote.ask("DELETE", _schema(space))

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        """It would make a class of its own for objects of one that is gone, and guess the types of fields."""
        await self._make_fields(space, {field for point in points for field in numbers_of(point.facts)})
        for start in range(0, len(points), BATCH):
            objects = [_spelled(space, point) for point in points[start : start + BATCH]]
            told = await self._remote.ask("POST", "/v1/batch/objects", {"objects": objects})
            if any(each["result"]["status"] != "SUCCESS" for each in told):
                raise store_unavailable()

    async def remove(self, space: Space, chunk_ids: Sequence[UUID]) -> None:
        for start in range(0, len(chunk_ids), BATCH):
            named = [str(each) for each in chunk_ids[start : start + BATCH]]
            where = {"path": ["id"], "operator": "ContainsAny", "valueTextArray": named}
            match = {"class": _class(space), "where": where}
            told = await self._remote.ask("DELETE", "/v1/batch/objects", {"match": match})
            if told["results"]["failed"]:
                raise store_unavailable()

    async def vectors(self, space: Space, chunk_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[float]]:
        found: dict[UUID, Sequence[float]] = {}
        for start in range(0, len(chunk_ids), BATCH):
            named = _json([str(each) for each in chunk_ids[start : start + BATCH]])
            where = f'where:{{path:["id"],operator:ContainsAny,valueText:{named}}}'
            told = await self._got(space, f"{where},limit:{BATCH}", "id vector")
            found.update((UUID(each["id"]), each["vector"]) for each in told)
        return found

    async def nearest(
        self, space: Space, vector: Sequence[float], filter: retrieval_pb2.MetadataFilter, limit: int
    ) -> list[Near]:
        wanted = f"nearVector:{{vector:{_json(list(vector))}}},limit:{limit}"
        if where := _where(filter, await self._fields_asked(space, filter)):
            wanted = f"{wanted},where:{where}"
        told = await self._got(space, wanted, "id distance")
        return [Near(UUID(each["id"]), _similarity(space, each["distance"])) for each in told]

    async def page(self, space: Space, after: str, limit: int) -> tuple[list[UUID], str]:
        behind = f"&after={after}" if after else ""
        told = await self._remote.ask("GET", f"/v1/objects?class={_class(space)}&limit={limit}{behind}")
        if told is None:
            raise _gone(space)
        found = [UUID(each["id"]) for each in told["objects"]]
        return found, str(found[-1]) if found else ""

    async def _got(self, space: Space, wanted: str, told: str) -> list[dict[str, Any]]:
        query = f"{{Get{{{_class(space)}({wanted}){{_additional{{{told}}}}}}}}}"
        answer = await self._remote.ask("POST", "/v1/graphql", {"query": query})
        if answer.get("errors"):
            raise await self._wrong(space)
        return [each["_additional"] for each in answer["data"]["Get"][_class(space)]]

    async def _wrong(self, space: Space) -> TrunklineError:
        """A question about a class that is gone is answered as one that is spelled badly."""
        there = await self._remote.ask("GET", _schema(space))
        return store_unavailable() if there else _gone(space)

    async def _make_fields(self, space: Space, wanted: Iterable[str]) -> None:
        for field in sorted(set(wanted) - await self._fields(space)):
            spelled = {"name": field, "dataType": ["number"]}
            await self._remote.ask("POST", f"{_schema(space)}/properties", spelled, missing=EXISTS)

    async def _fields(self, space: Space) -> set[str]:
        there = await self._remote.ask("GET", _schema(space))
        if there is None:
            raise _gone(space)
        return {each["name"] for each in there["properties"]}

    async def _fields_asked(self, space: Space, filter: retrieval_pb2.MetadataFilter) -> set[str]:
        """It takes no question about a field that no point has; so those with bounds need to know them."""
        conditions = (*filter.must, *filter.should, *filter.must_not)
        return await self._fields(space) if any(test_of(each).bounds for each in conditions) else set()


def _class(space: Space) -> str:
    return f"Trunkline_{space.collection_id.hex}"


def _schema(space: Space) -> str:
    return f"/v1/schema/{_class(space)}"


def _gone(space: Space) -> TrunklineError:
    return not_found("collection", ids.spell("coll", space.collection_id))


def _spelled(space: Space, point: Point) -> dict[str, Any]:
    properties = {"words": words_of(point.facts), **numbers_of(point.facts)}
    return {
        "class": _class(space),
        "id": str(point.chunk_id),
        "vector": list(point.vector),
        "properties": properties,
    }


def _where(filter: retrieval_pb2.MetadataFilter, fields: set[str]) -> str:
    clauses = [_clause(test_of(each), fields) for each in filter.must]
    if filter.should:
        clauses.append(_joined("Or", [_clause(test_of(each), fields) for each in filter.should]))
    clauses.extend(_joined("Not", [_clause(test_of(each), fields)]) for each in filter.must_not)
    return _joined("And", clauses) if clauses else ""


def _clause(test: Test, fields: set[str]) -> str:
    """Where no point has the field the words alone say that none is meant."""
    words = f'{{path:["words"],operator:ContainsAny,valueText:{_json(test.words)}}}'
    if test.negated:
        return _joined("Not", [words])
    bounds = test.bounds if test.field in fields else ()
    return _joined("And", [words, *(_bound(test.field, *each) for each in bounds)]) if bounds else words


def _bound(field: str, name: str, number: float) -> str:
    return f'{{path:["{field}"],operator:{_BOUNDS[name]},valueNumber:{_json(number)}}}'


def _joined(operator: str, clauses: Sequence[str]) -> str:
    return f"{{operator:{operator},operands:[{','.join(clauses)}]}}"


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _similarity(space: Space, distance: float) -> float:
    is_squared = space.metric == collections_pb2.METRIC_EUCLIDEAN
    return similarity_of(space.metric, math.sqrt(distance) if is_squared else distance)
