"""Puts collections together: their tables, the stores of their vectors, what is done with them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self

from trunkline_server.config import CollectionsSection
from trunkline_server.core.collections.vectors import VectorStore
from trunkline_server.core.page_token import PageTokens
from trunkline_server.gateway.collections.finding import Finding
from trunkline_server.gateway.collections.intake import Intake
from trunkline_server.gateway.collections.shelves import Shelves
from trunkline_server.gateway.collections.sweeping import Sweeping
from trunkline_server.gateway.errands import Errands
from trunkline_server.gateway.jobs.orders import Orders
from trunkline_server.house.ground import Ground
from trunkline_server.house.start import StartError
from trunkline_server.providers.client import HttpTransport
from trunkline_server.providers.vectors.pinecone import API_VERSION, Pinecone, Region
from trunkline_server.providers.vectors.qdrant import Qdrant
from trunkline_server.providers.vectors.remote import Remote
from trunkline_server.providers.vectors.weaviate import Weaviate
from trunkline_server.services.collections import CollectionService
from trunkline_server.store.collections import Collections
from trunkline_server.store.database import Database
from trunkline_server.store.documents import Documents
from trunkline_server.store.jobs import Jobs
from trunkline_server.store.pgvector import PgVector
from trunkline_server.worker.chores import Chore


@dataclass(frozen=True)
class Collecting:
    """For callers, jobs and chat calls alike."""

    shelves: Shelves
    intake: Intake
    finding: Finding

    @classmethod
    def open(cls, ground: Ground, errands: Errands) -> Self:
        """Raises StartError."""
        given, database = ground.settings.collections, ground.database
        stores = stores_of(given, database, ground.stack)
        shelves = Shelves(Collections(database), Documents(database), stores, given.store)
        return cls(shelves, Intake(shelves, errands), Finding(shelves, errands))

    def chores(self) -> list[Chore]:
        """What one replica does for all."""
        return [Chore("sweep_collections", 60, Sweeping(self.shelves).next)]

    def service(self, tokens: PageTokens, orders: Orders, jobs: Jobs) -> CollectionService:
        """What callers may ask."""
        return CollectionService(self.shelves, self.intake, self.finding, tokens, orders, jobs)


def stores_of(given: CollectionsSection, database: Database, stack: AsyncExitStack) -> dict[str, VectorStore]:
    """All that are set up: collections stay in the one that they were made in."""
    dial = _Dial(stack)
    stores: dict[str, VectorStore] = {"pgvector": PgVector(database)}
    if given.qdrant_url:
        stores["qdrant"] = Qdrant(dial("qdrant_url", given.qdrant_url, _key("api-key", given.qdrant_api_key)))
    if given.weaviate_url:
        bearer = given.weaviate_api_key and f"Bearer {given.weaviate_api_key}"
        stores["weaviate"] = Weaviate(dial("weaviate_url", given.weaviate_url, _key("authorization", bearer)))
    if given.pinecone_api_key:
        stores["pinecone"] = _pinecone(given, dial)
    if given.store not in stores:
        missing = "pinecone_api_key" if given.store == "pinecone" else f"{given.store}_url"
        raise StartError(f"collections.{missing}: is missing, and collections.store is {given.store!r}")
    return stores


def _pinecone(given: CollectionsSection, dial: _Dial) -> Pinecone:
    headers = {"api-key": given.pinecone_api_key, "x-pinecone-api-version": API_VERSION}
    scheme = given.pinecone_url.partition("://")[0]
    return Pinecone(
        dial("pinecone_url", given.pinecone_url, headers),
        lambda host: dial("pinecone_url", f"{scheme}://{host}", headers),
        Region(given.pinecone_cloud, given.pinecone_region),
    )


@dataclass(frozen=True)
class _Dial:
    """Connections that are closed with the stack."""

    stack: AsyncExitStack

    def __call__(self, setting: str, url: str, headers: Mapping[str, str]) -> Remote:
        """Raises StartError."""
        try:
            transport = HttpTransport(url, headers)
        except ValueError as error:
            raise StartError(f"collections.{setting}: {error}") from None
        self.stack.push_async_callback(transport.close)
        return Remote(transport)


def _key(header: str, value: str) -> dict[str, str]:
    return {header: value} if value else {}
