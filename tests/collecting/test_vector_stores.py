"""What every store of vectors must do. PostgreSQL is the real one; Qdrant is a fake of its documented API."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from tests.collecting.conditions import CONDITIONS, FACTS
from tests.fixtures.fake_qdrant import FakeQdrant
from trunkline.v1 import collections_pb2, retrieval_pb2
from trunkline_server.core import ids
from trunkline_server.core.collections import filters
from trunkline_server.core.collections.vectors import Near, Point, Space, VectorStore
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.providers.client import HttpTransport
from trunkline_server.providers.vectors.qdrant import Qdrant
from trunkline_server.providers.vectors.remote import Remote
from trunkline_server.store.database import Database
from trunkline_server.store.pgvector import PgVector

ALL = retrieval_pb2.MetadataFilter()
EAST, NORTH, NORTH_EAST = [1.0, 0.0], [0.0, 1.0], [3.0, 4.0]


@pytest.fixture(params=["pgvector", "qdrant"])
async def store(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[VectorStore]:
    if request.param == "pgvector":
        yield PgVector(database)
        return
    async with FakeQdrant("secret").served() as url:
        transport = HttpTransport(url, {"api-key": "secret"})
        yield Qdrant(Remote(transport))
        await transport.close()


@pytest.fixture
async def space(store: VectorStore) -> Space:
    made = Space(ids.new_uuid(), 2, collections_pb2.METRIC_COSINE)
    await store.create(made)
    return made


def point(vector: list[float], **facts: Any) -> Point:
    return Point(ids.new_uuid(), vector, facts)


async def nearest(store: VectorStore, space: Space, limit: int = 10) -> list[Near]:
    return await store.nearest(space, EAST, ALL, limit)


async def test_the_nearest_come_first(store: VectorStore, space: Space) -> None:
    points = [point(NORTH), point(EAST), point(NORTH_EAST)]
    await store.put(space, points)

    found = await nearest(store, space)
    assert [each.chunk_id for each in found] == [points[1].chunk_id, points[2].chunk_id, points[0].chunk_id]
    assert [each.similarity for each in found] == pytest.approx([1.0, 0.6, 0.0], abs=1e-6)
    assert await nearest(store, space, 1) == found[:1]


@pytest.mark.parametrize(
    ("metric", "similarity"),
    [
        (collections_pb2.METRIC_COSINE, 0.6),
        (collections_pb2.METRIC_DOT_PRODUCT, 3.0),
        (collections_pb2.METRIC_EUCLIDEAN, 1 / (1 + math.sqrt(20))),
    ],
)
async def test_every_metric(store: VectorStore, metric: collections_pb2.Metric.ValueType, similarity: float) -> None:
    space = Space(ids.new_uuid(), 2, metric)
    await store.create(space)
    await store.put(space, [point(NORTH_EAST)])
    assert [each.similarity for each in await nearest(store, space)] == [pytest.approx(similarity)]


async def test_a_point_that_is_put_again_is_replaced(store: VectorStore, space: Space) -> None:
    one = point(NORTH, place="a")
    await store.put(space, [one])
    await store.put(space, [replace(one, vector=EAST, facts={"place": "b"})])

    assert [each.similarity for each in await nearest(store, space)] == [pytest.approx(1.0)]
    condition = retrieval_pb2.Condition(key="place", equals=retrieval_pb2.MetadataValue(text="b"))
    assert await store.nearest(space, EAST, retrieval_pb2.MetadataFilter(must=[condition]), 10)


async def test_points_go_and_those_that_are_not_there_do_no_harm(store: VectorStore, space: Space) -> None:
    points = [point(EAST), point(NORTH)]
    await store.put(space, points)
    await store.remove(space, [points[0].chunk_id, ids.new_uuid()])
    assert [each.chunk_id for each in await nearest(store, space)] == [points[1].chunk_id]


async def test_vectors_are_told(store: VectorStore, space: Space) -> None:
    points = [point(EAST), point(NORTH)]
    await store.put(space, points)
    told = await store.vectors(space, [points[0].chunk_id, ids.new_uuid()])
    assert {each: list(vector) for each, vector in told.items()} == {points[0].chunk_id: EAST}


async def test_one_space_knows_nothing_of_another(store: VectorStore, space: Space) -> None:
    other = replace(space, collection_id=ids.new_uuid())
    await store.create(other)
    await store.put(other, [point(EAST)])
    assert await nearest(store, space) == []
    assert await store.vectors(space, [each.chunk_id for each in await nearest(store, other)]) == {}


async def test_a_space_goes_with_all_points(store: VectorStore, space: Space) -> None:
    await store.put(space, [point(EAST)])
    await store.drop(space)
    await store.drop(space)
    for lost in (nearest(store, space), store.put(space, [point(EAST)]), store.vectors(space, [ids.new_uuid()])):
        with pytest.raises(TrunklineError) as told:
            await lost
        assert told.value.reason == Reason.RESOURCE_NOT_FOUND
    await store.create(space)
    assert await nearest(store, space) == []


async def test_filters_hold_as_they_say(store: VectorStore, space: Space) -> None:
    named: dict[UUID, str] = {}
    for document, facts in FACTS.items():
        each = point(EAST, **facts)
        named[each.chunk_id] = document
        await store.put(space, [each])
    for name, (condition, wanted) in CONDITIONS.items():
        for part, expected in (("must", wanted), ("should", wanted), ("must_not", set(FACTS) - wanted)):
            filter = retrieval_pb2.MetadataFilter()
            getattr(filter, part).append(condition)
            found = await store.nearest(space, EAST, filter, 10)
            assert {named[each.chunk_id] for each in found} == expected, (name, part)
            assert {each for each, facts in FACTS.items() if filters.lets_through(filter, facts)} == expected


async def test_a_store_that_does_not_answer_is_told_as_such() -> None:
    async with FakeQdrant("secret").served() as url:
        transport = HttpTransport(url, {"api-key": "wrong"})
        store = Qdrant(Remote(transport))
        with pytest.raises(TrunklineError) as told:
            await store.create(Space(ids.new_uuid(), 2, collections_pb2.METRIC_COSINE))
        await transport.close()
    assert told.value.reason == Reason.STORE_UNAVAILABLE
    assert "secret" not in told.value.message
