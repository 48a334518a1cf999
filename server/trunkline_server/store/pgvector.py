"""Vectors in PostgreSQL: each collection has a table and an index (HNSW) of its own."""

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
from trunkline_server.core.collections.vectors import Near, Point, Space, similarity_of
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

_SQL = queries.load(__file__)


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


class PgVector:
    """A `VectorStore`. Where a filter lets `few` through, or less, all of them are looked at."""

    def __init__(self, database: Database, few: int = FEW) -> None:
        self._database = database
        self._few = few

    async def create(self, space: Space) -> None:
        if not await self._database.fetchval(_SQL.has_vector):
            message = "the database has no pgvector: install it there, or set collections.store"
            raise TrunklineError(Reason.CAPABILITY_UNSUPPORTED, message)
        async with self._database.patient(WRITE_TIMEOUT_S) as connection:
            await connection.execute(_spelled(_SQL.create, space), timeout=WRITE_TIMEOUT_S)

    async def drop(self, space: Space) -> None:
        async with self._database.patient(WRITE_TIMEOUT_S) as connection:
            await connection.execute(_spelled(_SQL.drop, space), timeout=WRITE_TIMEOUT_S)

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        rows = [(each.chunk_id, orjson.dumps(each.facts).decode(), _text_of(each.vector)) for each in points]
        with gone_told(space.collection_id):
            async with self._database.patient(WRITE_TIMEOUT_S) as connection:
                await connection.executemany(_spelled(_SQL.put, space), rows, timeout=WRITE_TIMEOUT_S)

    async def remove(self, space: Space, chunk_ids: Sequence[UUID]) -> None:
        with gone_told(space.collection_id):
            async with self._database.patient(WRITE_TIMEOUT_S) as connection:
                await connection.execute(_spelled(_SQL.remove, space), list(chunk_ids), timeout=WRITE_TIMEOUT_S)

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
                return await self._database.fetch(_spelled(around, space, _SQL.nearest, limit), asked)
            async with self._database.patient(READ_TIMEOUT_S) as connection:
                query = _spelled(around, space, _SQL.nearest_of_few, limit)
                rows = await connection.fetch(query, asked, path, self._few, timeout=READ_TIMEOUT_S)
                if not rows or rows[0]["matching"] <= self._few:
                    return rows
                await connection.execute(_SQL.look_wider)
                query = _spelled(around, space, _SQL.nearest_where, limit)
                return await connection.fetch(query, asked, path, timeout=READ_TIMEOUT_S)

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
    nearness = _NEARNESS[space.metric]
    return (
        statement.replace("{nearest}", nearest)
        .replace("{limit}", str(limit))
        .replace("{id}", space.collection_id.hex)
        .replace("{type}", f"{kind}({space.dimensions})")
        .replace("{ops}", f"{kind}_{nearness.ops}")
        .replace("{distance}", nearness.distance)
    )
