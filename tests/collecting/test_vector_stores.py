"""What every store of vectors must do. PostgreSQL is the real one; the others are fakes of their documented APIs."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, Final, cast
from uuid import UUID

import pytest

from tests.collecting.conditions import CONDITIONS, FACTS, lets_through
from tests.fixtures.fake_json_server import FakeJsonServer
from tests.fixtures.fake_pinecone import FakePinecone
from tests.fixtures.fake_qdrant import FakeQdrant
from tests.fixtures.fake_weaviate import FakeWeaviate
from trunkline.v1 import collections_pb2, retrieval_pb2
from trunkline_server.config import CollectionsSection
from trunkline_server.core import ids
from trunkline_server.core.collections.vectors import Near, Point, Space, VectorStore
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.house.collecting import stores_of
from trunkline_server.house.start import StartError
from trunkline_server.providers.client import HttpTransport
from trunkline_server.providers.vectors.pinecone import API_VERSION, Pinecone, Region
from trunkline_server.providers.vectors.remote import Remote
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.pgvector import FEW, PgVector

NO_DATABASE = cast("Database", None)
ALL = retrieval_pb2.MetadataFilter()
EAST, NORTH, NORTH_EAST = [1.0, 0.0], [0.0, 1.0], [3.0, 4.0]


@pytest.fixture(params=["pgvector", "pgvector by its index", "qdrant", "weaviate", "pinecone"])
async def store(request: pytest.FixtureRequest, shared_postgres_url: str) -> AsyncIterator[VectorStore]:
    if request.param.startswith("pgvector"):
        async with in_postgres(shared_postgres_url, FEW if request.param == "pgvector" else 0) as made:
            yield made
        return
    async with _FAKES[request.param]("secret").served() as url, AsyncExitStack() as stack:
        yield reached(request.param, url, stack, "secret")


@asynccontextmanager
async def in_postgres(url: str, few: int) -> AsyncIterator[PgVector]:
    database = await Database.open(DatabaseSettings(url, command_timeout_s=10, acquire_timeout_s=5))
    yield PgVector(database, few)
    await database.close()


def reached(name: str, url: str, stack: AsyncExitStack, key: str) -> VectorStore:
    """One of the fakes, as the house reaches it."""
    given: dict[str, Any] = {"store": name, f"{name}_url": url, f"{name}_api_key": key}
    return stores_of(CollectionsSection(**given), NO_DATABASE, stack)[name]


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


async def test_lengths_do_not_matter_to_the_cosine(store: VectorStore, space: Space) -> None:
    """Not those that 16 bits have no number for either."""
    points = [point([1e-12, 0.0]), point([4e15, 3e15]), point([0.0, 1e-9])]
    await store.put(space, points)
    found = await nearest(store, space)
    assert [each.chunk_id for each in found] == [each.chunk_id for each in points]
    assert [each.similarity for each in found] == pytest.approx([1.0, 0.8, 0.0], abs=1e-6)


@pytest.mark.parametrize("metric", [collections_pb2.METRIC_DOT_PRODUCT, collections_pb2.METRIC_EUCLIDEAN])
async def test_lengths_matter_to_the_others(store: VectorStore, metric: collections_pb2.Metric.ValueType) -> None:
    space = Space(ids.new_uuid(), 2, metric)
    await store.create(space)
    points = [point([1e6 + n, 0.0]) for n in range(20)]
    await store.put(space, points)
    nearest_first = points if metric == collections_pb2.METRIC_EUCLIDEAN else points[::-1]
    assert [each.chunk_id for each in await nearest(store, space, 20)] == [each.chunk_id for each in nearest_first]


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


async def test_few_far_away_among_many_are_found(shared_postgres_url: str) -> None:
    """Though a walk through the index ends long before it comes to them."""
    space = Space(ids.new_uuid(), 2, collections_pb2.METRIC_COSINE)
    by_index = "hnsw.max_scan_tuples=1&enable_sort=off"
    async with in_postgres(f"{shared_postgres_url}&{by_index}", FEW) as store:
        await store.create(space)
        await store.put(space, [point([1.0, n / 500], n=float(n)) for n in range(500)])
        condition = retrieval_pb2.Condition(key="n", range=retrieval_pb2.NumberRange(at_least=490))
        found = await store.nearest(space, EAST, retrieval_pb2.MetadataFilter(must=[condition]), 10)
        assert len(found) == 10


@pytest.mark.parametrize("layout", [1, 2])
async def test_every_layout_has_its_index(shared_postgres_url: str, layout: int) -> None:
    """Which, without a filter, tells no more than it has in view."""
    space = Space(ids.new_uuid(), 2, collections_pb2.METRIC_COSINE, layout)
    async with in_postgres(f"{shared_postgres_url}&hnsw.max_scan_tuples=1&enable_seqscan=off", FEW) as store:
        await store.create(space)
        await store.put(space, [point([1.0, n / 500]) for n in range(500)])
        assert 0 < len(await nearest(store, space, 400)) < 400


async def test_a_database_without_pgvector_is_told_as_such(shared_postgres_url: str) -> None:
    async with in_postgres(f"{shared_postgres_url}&search_path=pg_catalog", FEW) as store:
        with pytest.raises(TrunklineError, match="pgvector") as told:
            await store.create(Space(ids.new_uuid(), 2, collections_pb2.METRIC_COSINE))
    assert told.value.reason == Reason.CAPABILITY_UNSUPPORTED


async def test_what_halves_confuse_is_told_apart(shared_postgres_url: str) -> None:
    """Directions that are the same with 16 bits a number."""
    space = Space(ids.new_uuid(), 2, collections_pb2.METRIC_COSINE)
    async with in_postgres(shared_postgres_url, FEW) as store:
        await store.create(space)
        points = [point([1.0, 1.0 + n / 20_000]) for n in range(10)]
        await store.put(space, points)
        assert [each.chunk_id for each in await nearest(store, space, 3)] == [each.chunk_id for each in points[:3]]


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
            assert {each for each, facts in FACTS.items() if lets_through(filter, facts)} == expected


async def test_filters_hold_together_as_they_say(store: VectorStore, space: Space) -> None:
    """All of `must`, one of `should`, none of `must_not`, and both ends of a range that is not to be."""
    named = {each.chunk_id: document for document, facts in FACTS.items() for each in [point(EAST, **facts)]}
    await store.put(space, [replace(point(EAST), chunk_id=key, facts=FACTS[name]) for key, name in named.items()])
    conditions = {name: condition for name, (condition, _) in CONDITIONS.items()}
    for must, should, must_not in (
        (["depth there"], ["depth=6", "open"], ["depth>6"]),
        (["place=north"], [], ["6<=depth<12", "open"]),
        ([], ["place in", "depth not there"], []),
        (["any depth", "tags=sea"], ["depth>6", "depth=6"], ["depth not there"]),
        ([], [], ["6<=depth<12", "any depth"]),
    ):
        filter = retrieval_pb2.MetadataFilter(
            must=[conditions[each] for each in must],
            should=[conditions[each] for each in should],
            must_not=[conditions[each] for each in must_not],
        )
        expected = {each for each, facts in FACTS.items() if lets_through(filter, facts)}
        found = await store.nearest(space, EAST, filter, 10)
        assert {named[each.chunk_id] for each in found} == expected, (must, should, must_not)


async def test_a_number_that_no_point_has_is_found_in_none(store: VectorStore, space: Space) -> None:
    await store.put(space, [point(EAST, place="a")])
    condition = retrieval_pb2.Condition(key="depth", range=retrieval_pb2.NumberRange(at_least=1))
    assert await store.nearest(space, EAST, retrieval_pb2.MetadataFilter(must=[condition]), 10) == []
    assert await store.nearest(space, EAST, retrieval_pb2.MetadataFilter(must_not=[condition]), 10)


async def test_all_points_are_told_page_by_page(store: VectorStore, space: Space) -> None:
    points = [point(EAST) for _ in range(5)]
    await store.put(space, points)
    found, after = await store.page(space, "", 2)
    while after:
        more, after = await store.page(space, after, 2)
        found += more
    assert sorted(found) == sorted(each.chunk_id for each in points)


@pytest.mark.parametrize("name", ["qdrant", "weaviate", "pinecone"])
async def test_a_store_that_does_not_answer_is_told_as_such(name: str) -> None:
    async with _FAKES[name]("secret").served() as url, AsyncExitStack() as stack:
        with pytest.raises(TrunklineError) as told:
            await reached(name, url, stack, "wrong").create(Space(ids.new_uuid(), 2, collections_pb2.METRIC_COSINE))
    assert told.value.reason == Reason.STORE_UNAVAILABLE
    assert "secret" not in told.value.message


async def test_an_index_is_waited_for_until_it_is_ready() -> None:
    fake, space = FakePinecone("secret", busy_count=3), Space(ids.new_uuid(), 2, collections_pb2.METRIC_COSINE)
    async with fake.served() as url, AsyncExitStack() as stack:

        def dial(base_url: str) -> Remote:
            transport = HttpTransport(base_url, {"api-key": "secret", "x-pinecone-api-version": API_VERSION})
            stack.push_async_callback(transport.close)
            return Remote(transport)

        store = Pinecone(dial(url), lambda host: dial(f"http://{host}"), Region("aws", "us-east-1"), 0.0)
        await store.create(space)
        assert fake.indexes["trunkline-2-cosine"]["asked"] > fake.busy_count
        assert await nearest(store, space) == []


@pytest.mark.parametrize("name", ["qdrant", "weaviate", "pinecone"])
def test_a_store_that_is_wanted_must_be_set_up(name: Any) -> None:
    with pytest.raises(StartError, match=f"collections.{name}_"):
        stores_of(CollectionsSection(store=name), NO_DATABASE, AsyncExitStack())


_FAKES: Final[dict[str, Callable[[str], FakeJsonServer]]] = {
    "qdrant": FakeQdrant,
    "weaviate": FakeWeaviate,
    "pinecone": FakePinecone,
}
