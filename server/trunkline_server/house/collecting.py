"""Puts collections together: their tables, the stores of their vectors, what is done with them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self

from trunkline_server.config import CollectionsSection
from trunkline_server.core.collections.vectors import VectorStore
from trunkline_server.core.page_token import PageTokens
from trunkline_server.gateway.collections.finding import Finding
from trunkline_server.gateway.collections.intake import Intake
from trunkline_server.gateway.collections.shelves import Shelves
from trunkline_server.gateway.errands import Errands
from trunkline_server.gateway.jobs.orders import Orders
from trunkline_server.house.start import StartError
from trunkline_server.providers.client import HttpTransport
from trunkline_server.providers.vectors.qdrant import Qdrant
from trunkline_server.providers.vectors.remote import Remote
from trunkline_server.services.collections import CollectionService
from trunkline_server.store.collections import Collections
from trunkline_server.store.database import Database
from trunkline_server.store.documents import Documents
from trunkline_server.store.jobs import Jobs
from trunkline_server.store.pgvector import PgVector


@dataclass(frozen=True)
class Collecting:
    """For callers, jobs and chat calls alike."""

    shelves: Shelves
    intake: Intake
    finding: Finding

    @classmethod
    def open(cls, given: CollectionsSection, database: Database, errands: Errands, stack: AsyncExitStack) -> Self:
        """Raises StartError; connections are closed with the stack."""
        stores = _stores(given, database, stack)
        shelves = Shelves(Collections(database), Documents(database), stores, given.store)
        return cls(shelves, Intake(shelves, errands), Finding(shelves, errands))

    def service(self, tokens: PageTokens, orders: Orders, jobs: Jobs) -> CollectionService:
        """What callers may ask."""
        return CollectionService(self.shelves, self.intake, self.finding, tokens, orders, jobs)


def _stores(given: CollectionsSection, database: Database, stack: AsyncExitStack) -> dict[str, VectorStore]:
    """All that are set up: collections stay in the one that they were made in."""
    stores: dict[str, VectorStore] = {"pgvector": PgVector(database)}
    if given.qdrant_url:
        try:
            headers = {"api-key": given.qdrant_api_key} if given.qdrant_api_key else {}
            transport = HttpTransport(given.qdrant_url, headers)
        except ValueError as error:
            raise StartError(f"collections.qdrant_url: {error}") from None
        stack.push_async_callback(transport.close)
        stores["qdrant"] = Qdrant(Remote(transport))
    if given.store not in stores:
        raise StartError(f"collections.{given.store}_url: is missing, and collections.store is {given.store!r}")
    return stores
