"""Answers that were kept with what their questions mean: found by the nearest vector, by pgvector where it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from trunkline_server.store import queries
from trunkline_server.store.database import Database

SCOPE_ENTRIES_MAX: Final = 1000
"""Of one scope: all of them are compared at every look."""
FORGET_S: Final = 60.0
"""All of the table is looked through."""

_SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose answers, and to what: `digest` is everything of a question but the words that may differ."""

    tenant_id: UUID
    digest: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """The nearest, however near it is."""

    answer: bytes
    expire_time: datetime
    similarity: float


@dataclass(frozen=True, slots=True)
class NewAnswer:
    """`question` is a digest of all of it; `provider` and `model` are those that were asked."""

    question: bytes
    provider: str
    model: str
    answer: bytes
    ttl_s: float


class SimilarAnswers:
    """The table. Vectors have the length 1; those of a scope are of one model, and so of one size."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._has_vector: bool | None = None

    async def find(self, scope: Scope, vector: Sequence[float]) -> Found | None:
        """None where the scope has no answer that is still fresh."""
        if self._has_vector is None:
            self._has_vector = bool(await self._database.fetchval(_SQL.has_vector))
        query = _SQL.find if self._has_vector else _SQL.find_without_vector
        row = await self._database.fetchrow(query, scope.tenant_id, scope.digest, vector)
        return Found(**row) if row else None

    async def keep(self, scope: Scope, vector: Sequence[float], new: NewAnswer) -> None:
        """A scope that is full loses its oldest."""
        what = (new.question, new.provider, new.model, vector, new.answer, new.ttl_s)
        await self._database.execute(_SQL.keep, scope.tenant_id, scope.digest, *what, SCOPE_ENTRIES_MAX)

    async def purge(self, tenant_id: UUID, provider: str, model: str) -> int:
        """How many there were; empty names mean all."""
        return int(await self._database.fetchval(_SQL.purge, tenant_id, provider, model))

    async def forget(self, tenant_entries_max: int) -> None:
        """What is no longer fresh, and of tenants that have too many the oldest."""
        async with self._database.patient(FORGET_S) as connection:
            await connection.execute(_SQL.forget)
            await connection.execute(_SQL.thin, tenant_entries_max)
