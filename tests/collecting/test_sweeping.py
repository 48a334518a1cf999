"""Vectors whose document is gone: they go too, at the latest when their collection is looked through."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from trunkline.v1 import collections_pb2
from trunkline_server.core import ids
from trunkline_server.core.collections.vectors import Point
from trunkline_server.core.errors import Reason, TrunklineError, store_unavailable
from trunkline_server.gateway.collections.intake import Intake
from trunkline_server.gateway.collections.shelves import Shelves
from trunkline_server.gateway.collections.sweeping import Sweeping
from trunkline_server.gateway.errands import Errands
from trunkline_server.store.collections import Collection, Collections
from trunkline_server.store.database import Database
from trunkline_server.store.documents import Documents, Written
from trunkline_server.store.pgvector import PgVector

LONG_AGO_MS = 86_400_000
NO_ERRANDS = cast("Errands", None)


class Unwilling(PgVector):
    """Does not answer when it is told to remove something, until it is `there`."""

    there = False

    async def remove(self, space: Any, chunk_ids: Any) -> None:
        if not self.there:
            raise store_unavailable()
        await super().remove(space, chunk_ids)


@pytest.fixture
def store(database: Database) -> Unwilling:
    return Unwilling(database)


@pytest.fixture
def shelves(database: Database, store: Unwilling) -> Shelves:
    return Shelves(Collections(database), Documents(database), {"pgvector": store}, "pgvector")


@pytest.fixture
async def collection(database: Database, shelves: Shelves) -> Collection:
    tenant_id = ids.new_uuid()
    await database.execute("INSERT INTO tenant (tenant_id, name) VALUES ($1, 'library')", tenant_id)
    spec = collections_pb2.CollectionSpec(name="town", model="sandbox/embed", dimensions=2)
    return await shelves.create(tenant_id, spec)


def made_before(ms: int) -> UUID:
    return UUID(int=ids.new_uuid().int - (ms << 80))


async def kept(shelves: Shelves, collection: Collection) -> list[UUID]:
    page, _ = await shelves.stores["pgvector"].page(collection.space, "", 100)
    return page


async def put(shelves: Shelves, collection: Collection, name: str, chunk_id: UUID) -> None:
    head = collections_pb2.Document(document_id=name)
    await shelves.documents.put(collection.collection_id, [Written(head, b"", [(chunk_id, "words")])], "simple")
    await shelves.stores["pgvector"].put(collection.space, [Point(chunk_id, [1.0, 0.0])])


async def test_what_no_document_has_goes_unless_it_is_young(
    shelves: Shelves, store: Unwilling, collection: Collection
) -> None:
    lost, known, young = made_before(LONG_AGO_MS), made_before(LONG_AGO_MS + 1), ids.new_uuid()
    await put(shelves, collection, "harbour", known)
    await store.put(collection.space, [Point(each, [0.0, 1.0]) for each in (lost, young)])
    store.there = True

    assert await Sweeping(shelves).through(collection) == 1
    assert await kept(shelves, collection) == [known, young]


async def test_a_document_is_deleted_though_its_store_is_away_and_its_vectors_follow(
    shelves: Shelves, store: Unwilling, collection: Collection, caplog: pytest.LogCaptureFixture
) -> None:
    chunk_id = made_before(LONG_AGO_MS)
    await put(shelves, collection, "harbour", chunk_id)
    sweeping = Sweeping(shelves)
    await sweeping.next()  # its time has not come

    assert await Intake(shelves, NO_ERRANDS).delete(collection, ["harbour"]) == 1
    await sweeping.next()
    assert [record.getMessage() for record in caplog.records if "unswept" in record.getMessage()] == [
        f"collection.unswept collection={ids.spell('coll', collection.collection_id)} reason=STORE_UNAVAILABLE"
    ]
    assert await kept(shelves, collection) == [chunk_id]

    store.there = True
    await shelves.collections.want_sweep(collection.collection_id)
    await sweeping.next()
    assert await kept(shelves, collection) == []


async def test_each_collection_has_its_turn_and_one_whose_store_is_no_more_is_passed_by(
    shelves: Shelves, collection: Collection
) -> None:
    assert await shelves.collections.due(timedelta(hours=1)) is None
    assert await shelves.collections.due(timedelta(0)) == collection
    await shelves.collections.want_sweep(collection.collection_id)
    await Sweeping(replace(shelves, stores={})).next()
    assert await shelves.collections.due(timedelta(hours=1)) is None


async def test_other_failures_of_a_deletion_are_told(shelves: Shelves, collection: Collection) -> None:
    await put(shelves, collection, "harbour", ids.new_uuid())
    with pytest.raises(TrunklineError) as refused:
        await Intake(replace(shelves, stores={}), NO_ERRANDS).delete(collection, ["harbour"])
    assert refused.value.reason is Reason.CAPABILITY_UNSUPPORTED
