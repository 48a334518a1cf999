"""The table of collections: what they are, not what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from trunkline.v1 import collections_pb2
from trunkline_server.core import ids
from trunkline_server.core.collections.vectors import LAYOUT, Space
from trunkline_server.core.errors import Reason, Resource, TrunklineError, not_found
from trunkline_server.core.moment import timestamp
from trunkline_server.store import queries
from trunkline_server.store.database import Database

DELETE_TIMEOUT_S = 30.0

_SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Collection:
    """A row."""

    collection_id: UUID
    spec: collections_pb2.CollectionSpec
    store: str
    layout: int
    create_time: datetime

    @property
    def space(self) -> Space:
        metric = self.spec.metric or collections_pb2.METRIC_COSINE
        return Space(self.collection_id, self.spec.dimensions, metric, self.layout)

    def message(self) -> collections_pb2.Collection:
        """For callers."""
        return collections_pb2.Collection(
            collection_id=ids.spell("coll", self.collection_id),
            spec=self.spec,
            store=self.store,
            create_time=timestamp(self.create_time),
        )


class Collections:
    """A collection is found by its id or its name, within its tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, tenant_id: UUID, collection_id: UUID, spec: collections_pb2.CollectionSpec, store: str
    ) -> Collection:
        """Raises RESOURCE_EXISTS."""
        made = (tenant_id, collection_id, spec.name, spec.SerializeToString(), store, LAYOUT)
        try:
            return _collection(await self._database.of(tenant_id).fetchrow(_SQL.create, *made), spec.name)
        except asyncpg.UniqueViolationError:
            message = f"collection {spec.name!r} exists already"
            resource = Resource("collection", spec.name)
            raise TrunklineError(Reason.RESOURCE_EXISTS, message, resource=resource) from None

    async def find(self, tenant_id: UUID, name: str) -> Collection:
        """Raises RESOURCE_NOT_FOUND, also for another tenant's. Every search asks, so in one round trip."""
        row = await self._database.fetchrow(_SQL.find, tenant_id, ids.parse("coll", name), name)
        return _collection(row, name)

    async def page(self, tenant_id: UUID, after: str | None, limit: int) -> list[Collection]:
        """By name."""
        return [
            _collection(row, "") for row in await self._database.of(tenant_id).fetch(_SQL.page, tenant_id, after, limit)
        ]

    async def counts(self, collection_id: UUID) -> tuple[int, int]:
        """Documents, and their chunks."""
        row = await self._database.fetchrow(_SQL.counts, collection_id)
        return (row["documents"], row["chunks"]) if row else (0, 0)

    async def due(self, every: timedelta) -> Collection | None:
        """One that was last swept so long ago; it counts as swept from now on."""
        row = await self._database.fetchrow(_SQL.due, every)
        return None if row is None else _collection(row, "")

    async def want_sweep(self, collection_id: UUID) -> None:
        """Soon: something was left behind in it."""
        await self._database.execute(_SQL.want_sweep, collection_id)

    async def delete(self, tenant_id: UUID, collection_id: UUID) -> None:
        """With what is known of its documents; what is in its own tables is dropped before."""
        async with self._database.patient(DELETE_TIMEOUT_S) as connection:
            await connection.execute(_SQL.delete, tenant_id, collection_id)


def _collection(row: asyncpg.Record | None, name: str) -> Collection:
    if row is None:
        raise not_found("collection", name)
    spec = collections_pb2.CollectionSpec.FromString(row["spec"])
    return Collection(row["collection_id"], spec, row["store"], row["layout"], row["create_time"])
