"""Puts collections together: their tables, the stores of their vectors, what is done with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from trunkline_server.core.page_token import PageTokens
from trunkline_server.gateway.collections.finding import Finding
from trunkline_server.gateway.collections.intake import Intake
from trunkline_server.gateway.collections.shelves import Shelves
from trunkline_server.gateway.errands import Errands
from trunkline_server.gateway.jobs.orders import Orders
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
    def over(cls, database: Database, errands: Errands) -> Self:
        stores = {"pgvector": PgVector(database)}
        shelves = Shelves(Collections(database), Documents(database), stores, "pgvector")
        return cls(shelves, Intake(shelves, errands), Finding(shelves, errands))

    def service(self, tokens: PageTokens, orders: Orders, jobs: Jobs) -> CollectionService:
        """What callers may ask."""
        return CollectionService(self.shelves, self.intake, self.finding, tokens, orders, jobs)
