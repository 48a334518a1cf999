"""Documents and their chunks: what is told of them and what they say. Their vectors are elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg
import orjson

from trunkline.v1 import collections_pb2, retrieval_pb2
from trunkline_server.core import ids
from trunkline_server.core.collections import filters
from trunkline_server.core.collections.metadata import facts_of
from trunkline_server.core.errors import not_found
from trunkline_server.core.moment import timestamp
from trunkline_server.store import queries
from trunkline_server.store.database import Database
from trunkline_server.store.patient import Patient

WRITE_TIMEOUT_S: Final = 60.0
READ_TIMEOUT_S: Final = 5.0

_SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Known:
    """What is there of a document: the digest of its words, and the rest, as `trunkline.v1.Document`."""

    digest: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """A document to be put in; `head` is without its words."""

    head: collections_pb2.Document
    digest: bytes
    chunks: Sequence[tuple[UUID, str]]


class Documents:
    """Of collections that the caller may reach. Raises RESOURCE_NOT_FOUND where a collection is gone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, collection_id: UUID) -> None:
        async with self._database.patient(WRITE_TIMEOUT_S) as connection:
            await connection.execute(_own(_SQL.create, collection_id))

    async def drop(self, collection_id: UUID) -> None:
        async with self._database.patient(WRITE_TIMEOUT_S) as connection:
            await connection.execute(_own(_SQL.drop, collection_id))

    async def knows_language(self, language: str) -> bool:
        return bool(await self._database.fetchval(_SQL.knows_language, language))

    async def known(self, collection_id: UUID, document_ids: Iterable[str]) -> Mapping[str, Known]:
        """Of those that are there."""
        rows = await self._database.fetch(_SQL.digests, collection_id, list(document_ids))
        return {row["document_id"]: Known(row["digest"], row["body"]) for row in rows}

    async def put(self, collection_id: UUID, written: Sequence[Written], language: str) -> list[UUID]:
        """All or none; says which chunks are no longer there."""
        names = sorted(each.head.document_id for each in written)
        async with self._patient(collection_id, WRITE_TIMEOUT_S) as connection:
            rows = [_row(collection_id, each) for each in sorted(written, key=lambda each: each.head.document_id)]
            await connection.executemany(_SQL.put, rows)
            gone = await connection.fetch(_own(_SQL.empty, collection_id), names)
            chunks = [row for each in written for row in _chunk_rows(each, language)]
            await connection.executemany(_own(_SQL.put_chunk, collection_id), chunks)
        return [row["chunk_id"] for row in gone]

    async def describe(self, collection_id: UUID, head: collections_pb2.Document, digest: bytes) -> list[UUID]:
        """What else is said of a document whose words stay; its chunks, or none where others changed it meanwhile."""
        name, facts = head.document_id, _facts(head)
        async with self._patient(collection_id, WRITE_TIMEOUT_S) as connection:
            if not await connection.fetchval(
                _SQL.describe, collection_id, name, digest, head.SerializeToString(deterministic=True)
            ):
                return []
            return [
                row["chunk_id"] for row in await connection.fetch(_own(_SQL.tell_facts, collection_id), name, facts)
            ]

    async def delete(self, collection_id: UUID, document_ids: Sequence[str]) -> tuple[int, list[UUID]]:
        """How many were there, and their chunks."""
        names = sorted(set(document_ids))
        async with self._patient(collection_id, WRITE_TIMEOUT_S) as connection:
            deleted = await connection.fetch(_SQL.delete, collection_id, names)
            gone = await connection.fetch(_own(_SQL.empty, collection_id), names)
        return len(deleted), [row["chunk_id"] for row in gone]

    async def find(self, collection_id: UUID, document_id: str) -> collections_pb2.StoredDocument:
        """Without its chunks. Raises RESOURCE_NOT_FOUND."""
        row = await self._database.fetchrow(_SQL.find, collection_id, document_id)
        if row is None:
            raise not_found("document", document_id)
        return _stored(row)

    async def page(self, collection_id: UUID, after: str | None, limit: int) -> list[collections_pb2.StoredDocument]:
        """By id."""
        return [_stored(row) for row in await self._database.fetch(_SQL.page, collection_id, after, limit)]

    async def chunks_of(self, collection_id: UUID, document_id: str) -> dict[UUID, str]:
        """In their order."""
        with gone_told(collection_id):
            rows = await self._database.fetch(_own(_SQL.chunks_of, collection_id), document_id)
        return {row["chunk_id"]: row["content"] for row in rows}

    async def hits(self, collection_id: UUID, chunk_ids: Iterable[UUID]) -> dict[UUID, collections_pb2.SearchHit]:
        """What callers are told of chunks; those that are gone are left out."""
        with gone_told(collection_id):
            rows = await self._database.fetch(_own(_SQL.hits, collection_id), collection_id, list(chunk_ids))
        return {row["chunk_id"]: hit_of(row) for row in rows}

    async def present(self, collection_id: UUID, chunk_ids: Sequence[UUID]) -> set[UUID]:
        """Those of them that are there."""
        with gone_told(collection_id):
            rows = await self._database.fetch(_own(_SQL.present, collection_id), list(chunk_ids))
        return {row["chunk_id"] for row in rows}

    async def longest(
        self, collection_id: UUID, filter: retrieval_pb2.MetadataFilter, limit: int
    ) -> list[collections_pb2.SearchHit]:
        """The most that a search can bring."""
        asked = (collection_id, limit, filters.jsonpath(filter))
        async with self._patient(collection_id, READ_TIMEOUT_S) as connection:
            rows = await connection.fetch(_own(_SQL.longest, collection_id), *asked)
        return [hit_of(row) for row in rows]

    async def by_words(
        self, collection_id: UUID, words: str, language: str, filter: retrieval_pb2.MetadataFilter, limit: int
    ) -> dict[UUID, float]:
        """The chunks that have any of the words, with their ranks, the best first."""
        path = filters.jsonpath(filter)
        query, where = (_SQL.by_words, ()) if path is None else (_SQL.by_words_where, (path,))
        async with self._patient(collection_id, READ_TIMEOUT_S) as connection:
            asked = (words, language, limit, *where)
            rows = await connection.fetch(_own(query, collection_id), *asked)
        return {row["chunk_id"]: row["rank"] for row in rows}

    @asynccontextmanager
    async def _patient(self, collection_id: UUID, timeout_s: float) -> AsyncIterator[Patient]:
        with gone_told(collection_id):
            async with self._database.patient(timeout_s) as connection:
                yield connection


@contextmanager
def gone_told(collection_id: UUID) -> Iterator[None]:
    """A collection whose tables were dropped meanwhile, or are not there yet, is told as one that does not exist."""
    try:
        yield
    except (asyncpg.UndefinedTableError, asyncpg.ForeignKeyViolationError):
        raise not_found("collection", ids.spell("coll", collection_id)) from None


def _own(statement: str, collection_id: UUID) -> str:
    """For the collection's own tables; hex digits are all that goes into the statement."""
    return statement.replace("{id}", collection_id.hex)


def _facts(head: collections_pb2.Document) -> str:
    return orjson.dumps(facts_of(head.metadata)).decode()


def _row(collection_id: UUID, each: Written) -> tuple[object, ...]:
    return (
        collection_id,
        each.head.document_id,
        each.digest,
        each.head.SerializeToString(deterministic=True),
        len(each.chunks),
    )


def _chunk_rows(each: Written, language: str) -> Iterator[tuple[object, ...]]:
    facts = _facts(each.head)
    for place, (chunk_id, content) in enumerate(each.chunks):
        yield chunk_id, each.head.document_id, place, content, language, facts


def _stored(row: asyncpg.Record) -> collections_pb2.StoredDocument:
    return collections_pb2.StoredDocument(
        document=collections_pb2.Document.FromString(row["body"]),
        chunk_count=row["chunk_count"],
        create_time=timestamp(row["create_time"]),
        update_time=timestamp(row["update_time"]),
    )


def hit_of(row: asyncpg.Record) -> collections_pb2.SearchHit:
    """Without its scores."""
    document = collections_pb2.Document.FromString(row["body"])
    return collections_pb2.SearchHit(
        document_id=row["document_id"],
        chunk_index=row["place"],
        text=row["content"],
        title=document.title,
        uri=document.uri,
        metadata=document.metadata,
    )
