"""Vectors in PostgreSQL: each collection has a table and an index (HNSW) of its own.

Where lengths do not matter, the index has vectors of length 1 with half of the bits: it takes half of the memory, is
read and made faster, and finds the same. How near they are is told by the vectors as they were put.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from uuid import UUID

import asyncpg
import orjson

from trunkline.v1 import collections_pb2, retrieval_pb2
from trunkline_server.core.collections import filters
from trunkline_server.core.collections.vectors import Near, Point, Space, TellingStore, similarity_of
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.store import queries
from trunkline_server.store.database import Database
from trunkline_server.store.documents import gone_told, hit_of

WRITE_TIMEOUT_S: Final = 60.0
READ_TIMEOUT_S: Final = 5.0
SPELLED_MAX: Final = 1024
VECTOR_DIMENSIONS_MAX: Final = 2000
"""Of vectors with whole numbers that an index takes; longer ones are kept with half of the bits."""
HALF_MAX: Final = 65_504
FEW: Final = 10_000
"""Vectors that are compared one by one in about the time that a walk through the index takes for a filter."""
CANDIDATES_MORE: Final = 20
"""That the index brings beyond what is asked for: with half of the bits neighbours change places."""

_SQL = queries.load(__file__)
_OF_ALL: Final = _SQL.nearest.replace("{where}", "true")
_OF_SOME: Final = _SQL.nearest.replace("{where}", _SQL.fulfils)
_OF_FEW: Final = _SQL.nearest_of_few.replace("{where}", _SQL.fulfils)


@dataclass(frozen=True, slots=True)
class _Nearness:
    """How pgvector spells a metric."""

    ops: str
    distance: str


_NEARNESS: Final = {
    collections_pb2.METRIC_COSINE: _Nearness("cosine_ops", "<=>"),
    collections_pb2.METRIC_DOT_PRODUCT: _Nearness("ip_ops", "<#>"),
    collections_pb2.METRIC_EUCLIDEAN: _Nearness("l2_ops", "<->"),
}


@dataclass(frozen=True, slots=True)
class _Index:
    """What an index has of a `{vector}`, and how it compares."""

    kind: str
    of: str
    nearness: _Nearness

    def spell(self, vector: str, space: Space) -> str:
        return self.of.format(vector=vector, dimensions=space.dimensions)


_HALVES: Final = _Index(
    "halfvec", "l2_normalize({vector})::halfvec({dimensions})", _NEARNESS[collections_pb2.METRIC_DOT_PRODUCT]
)
"""Of vectors of length 1 the product says what the cosine says."""


class PgVector(TellingStore):
    """Where a filter lets `few` through, or less, all of them are looked at."""

    def __init__(self, database: Database, few: int = FEW) -> None:
        self._database = database
        self._few = few

    async def create(self, space: Space) -> None:
        if not await self._database.fetchval(_SQL.has_halves):
            message = "the database has no pgvector 0.7 or newer: install it there, or set collections.store"
            raise TrunklineError(Reason.CAPABILITY_UNSUPPORTED, message)
        async with self._database.patient(WRITE_TIMEOUT_S) as connection:
            await connection.execute(_spelled(_SQL.create, space))

    async def drop(self, space: Space) -> None:
        async with self._database.patient(WRITE_TIMEOUT_S) as connection:
            await connection.execute(_spelled(_SQL.drop, space))

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        rows = [(each.chunk_id, orjson.dumps(each.facts).decode(), _text_of(each.vector)) for each in points]
        with gone_told(space.collection_id):
            async with self._database.patient(WRITE_TIMEOUT_S) as connection:
                await connection.executemany(_spelled(_SQL.put, space), rows)

    async def remove(self, space: Space, chunk_ids: Sequence[UUID]) -> None:
        with gone_told(space.collection_id):
            async with self._database.patient(WRITE_TIMEOUT_S) as connection:
                await connection.execute(_spelled(_SQL.remove, space), list(chunk_ids))

    async def vectors(self, space: Space, chunk_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[float]]:
        with gone_told(space.collection_id):
            rows = await self._database.fetch(_spelled(_SQL.vectors, space), list(chunk_ids))
        return {row["chunk_id"]: row["vector"] for row in rows}

    async def nearest(
        self, space: Space, vector: Sequence[float], filter: retrieval_pb2.MetadataFilter, limit: int
    ) -> list[Near]:
        return [_near(space, row) for row in await self._rows(space, "{nearest}", vector, filter, limit)]

    async def told(
        self, space: Space, vector: Sequence[float], filter: retrieval_pb2.MetadataFilter, limit: int
    ) -> list[collections_pb2.SearchHit]:
        return [_hit(space, row) for row in await self._rows(space, _SQL.told, vector, filter, limit)]

    async def _rows(
        self,
        space: Space,
        around: str,
        vector: Sequence[float],
        filter: retrieval_pb2.MetadataFilter,
        limit: int,
    ) -> list[asyncpg.Record]:
        path, asked = filters.jsonpath(filter), _text_of(vector)
        with gone_told(space.collection_id), _too_large_told():
            if path is None:
                return await self._database.fetch(_spelled(around, space, _OF_ALL, limit), asked)
            async with self._database.patient(READ_TIMEOUT_S) as connection:
                query = _spelled(around, space, _OF_FEW, limit)
                rows = await connection.fetch(query, asked, path, self._few)
                if not rows or rows[0]["matching"] <= self._few:
                    return rows
                await connection.execute(_SQL.look_wider)
                query = _spelled(around, space, _OF_SOME, limit)
                return await connection.fetch(query, asked, path)

    async def page(self, space: Space, after: str, limit: int) -> tuple[list[UUID], str]:
        with gone_told(space.collection_id):
            rows = await self._database.fetch(_spelled(_SQL.page, space), UUID(after) if after else None, limit)
        found = [row["chunk_id"] for row in rows]
        return found, str(found[-1]) if len(found) == limit else ""


@contextmanager
def _too_large_told() -> Iterator[None]:
    """Where a number does not fit into the 16 bits that long vectors have for each."""
    try:
        yield
    except asyncpg.NumericValueOutOfRangeError:
        raise invalid("vector.values", f"have a number beyond {HALF_MAX}, the most in vectors of that length") from None


def _text_of(vector: Sequence[float]) -> str:
    """As pgvector reads it."""
    return orjson.dumps(list(vector)).decode()


def _near(space: Space, row: asyncpg.Record) -> Near:
    return Near(row["chunk_id"], similarity_of(space.metric, row["distance"]))


def _hit(space: Space, row: asyncpg.Record) -> collections_pb2.SearchHit:
    hit = hit_of(row)
    hit.similarity = similarity_of(space.metric, row["distance"])
    return hit


@lru_cache(SPELLED_MAX)
def _spelled(statement: str, space: Space, nearest: str = "", limit: int = 0) -> str:
    """For the collection's own table: nothing that a caller wrote goes into a statement but a number."""
    kind = "vector" if space.dimensions <= VECTOR_DIMENSIONS_MAX else "halfvec"
    index, asked = _index_of(space, kind), f"$1::text::{kind}({space.dimensions})"
    return statement.replace("{nearest}", nearest).format(
        id=space.collection_id.hex,
        type=f"{kind}({space.dimensions})",
        distance=_NEARNESS[space.metric].distance,
        asked=f"(SELECT {asked})",
        indexed=index.spell("embedding", space),
        sought=f"(SELECT {index.spell(asked, space)})",
        order=index.nearness.distance,
        ops=f"{index.kind}_{index.nearness.ops}",
        limit=limit,
        candidates=limit + CANDIDATES_MORE,
    )


def _index_of(space: Space, kind: str) -> _Index:
    """What is shorter or longer than 16 bits can say must not count: that is so for the cosine alone."""
    is_halved = space.layout > 1 and space.metric == collections_pb2.METRIC_COSINE and kind == "vector"
    return _HALVES if is_halved else _Index(kind, "{vector}", _NEARNESS[space.metric])
