"""A search on its way: the question as a vector, what is near it, what has its words, both put together, put in order.

text ──▶ embedded ─┐
vector ────────────┼▶ nearest ──┐
document ──────────┘            ├▶ fused ──▶ told ──▶ reranked
text ──▶ its words ─────────────┘
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from trunkline.v1 import collections_pb2, embeddings_pb2, receipt_pb2, retrieval_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.collections import filters
from trunkline_server.core.collections.fusion import fused
from trunkline_server.core.collections.vectors import TellingStore
from trunkline_server.core.errors import Reason, TrunklineError, invalid, not_found
from trunkline_server.core.operation import Operation
from trunkline_server.core.question import check_name
from trunkline_server.core.text import readable
from trunkline_server.gateway.collections.bills import Bills
from trunkline_server.gateway.collections.intake import check_vector
from trunkline_server.gateway.collections.shelves import Shelves
from trunkline_server.gateway.errands import Errands
from trunkline_server.store.collections import Collection

LIMIT: Final = 10
FUSED_MIN: Final = 50
"""Of each list, where two are put together."""
RERANKED_TIMES: Final = 4
RERANKED_MAX: Final = 100
BY_MEANING: Final = (retrieval_pb2.SEARCH_MODE_UNSPECIFIED, retrieval_pb2.SEARCH_MODE_MEANING)

Request = collections_pb2.SearchRequest


@dataclass(slots=True)
class Found:
    """The hits, the best first, and what they cost."""

    hits: list[collections_pb2.SearchHit]
    receipts: list[receipt_pb2.Receipt]


@dataclass(slots=True)
class _Search:
    """One search: what it wants, and how near what it found is."""

    collection: Collection
    request: Request
    bills: Bills
    similarities: Mapping[UUID, float] = field(default_factory=dict)
    ranks: Mapping[UUID, float] = field(default_factory=dict)

    @property
    def options(self) -> retrieval_pb2.SearchOptions:
        return self.request.options

    @property
    def limit(self) -> int:
        return self.options.limit or LIMIT

    @property
    def least(self) -> float:
        """How similar a hit by meaning has to be."""
        return self.options.min_similarity if self.options.HasField("min_similarity") else -math.inf

    @property
    def is_plain(self) -> bool:
        """Whether it wants just what is nearest to a vector or to a text."""
        return self.options.mode in BY_MEANING and self.request.WhichOneof("query") != "document_id"

    @property
    def wanted(self) -> int:
        """How many hits are told before they are put in order."""
        if not self.options.HasField("rerank"):
            return self.limit
        usual = min(self.limit * RERANKED_TIMES, RERANKED_MAX)
        return max(self.options.rerank.candidate_count or usual, self.limit)

    @property
    def depth(self) -> int:
        """How far down each list is read."""
        is_both = self.options.mode == retrieval_pb2.SEARCH_MODE_HYBRID
        return max(self.wanted, FUSED_MIN) if is_both else self.wanted

    def scores(self) -> Mapping[UUID, float]:
        """The best first."""
        if self.options.mode == retrieval_pb2.SEARCH_MODE_HYBRID:
            return fused(list(self.similarities), list(self.ranks))
        return self.similarities or self.ranks


@dataclass(frozen=True)
class Finding:
    """For callers and for chat calls."""

    shelves: Shelves
    errands: Errands

    async def search(self, call: Call, request: Request) -> Found:
        """Raises RESOURCE_NOT_FOUND, VALIDATION, and what embedding and reranking can."""
        check(request)
        tenant_id, name = call.caller.tenant_id, readable("collection", request.collection)
        search = _Search(await self.shelves.remembered(tenant_id, name), request, Bills(self.errands, call))
        try:
            return await self._found(search)
        except TrunklineError as error:
            if error.reason is not Reason.RESOURCE_NOT_FOUND:
                raise
            before, search.collection = search.collection, await self.shelves.found_again(tenant_id, name)
            if search.collection.collection_id == before.collection_id:
                raise
        return await self._found(search)

    async def longest(self, call: Call, request: Request) -> Sequence[collections_pb2.SearchHit]:
        """As many as it asks for, each the longest that it could find. Raises RESOURCE_NOT_FOUND, VALIDATION."""
        found = await self.shelves.find(call.caller.tenant_id, readable("collection", request.collection))
        options = request.options
        return await self.shelves.documents.longest(found.collection_id, options.filter, options.limit or LIMIT)

    async def _found(self, search: _Search) -> Found:
        request, store = search.request, self.shelves.vectors(search.collection)
        if search.is_plain and isinstance(store, TellingStore):
            hits = await _told_at_once(search, store)
        else:
            hits = await self._gathered(search)
        if hits and request.options.HasField("rerank"):
            hits = await _reranked(search, hits)
        return Found(hits[: search.limit], search.bills.receipts)

    async def _gathered(self, search: _Search) -> list[collections_pb2.SearchHit]:
        """From both lists, and then from the documents."""
        request = search.request
        if request.options.mode != retrieval_pb2.SEARCH_MODE_WORDS:
            search.similarities = await self._by_meaning(search)
        if request.options.mode in (retrieval_pb2.SEARCH_MODE_WORDS, retrieval_pb2.SEARCH_MODE_HYBRID):
            search.ranks = await self._by_words(search)
        return await self._told(search)

    async def _by_meaning(self, search: _Search) -> Mapping[UUID, float]:
        own: Mapping[UUID, str] = {}
        if search.request.WhichOneof("query") == "document_id":
            own = await self._own_chunks(search)
        vector = await self._vector(search, list(own))
        store, space = self.shelves.vectors(search.collection), search.collection.space
        near = await store.nearest(space, vector, search.options.filter, search.depth + len(own))
        kept = [each for each in near if each.similarity >= search.least and each.chunk_id not in own]
        return {each.chunk_id: each.similarity for each in kept[: search.depth]}

    async def _own_chunks(self, search: _Search) -> Mapping[UUID, str]:
        """Of the document that is searched by. Raises RESOURCE_NOT_FOUND."""
        name = readable("document_id", search.request.document_id)
        chunks = await self.shelves.documents.chunks_of(search.collection.collection_id, name)
        if not chunks:
            raise not_found("document", name)
        return chunks

    async def _vector(self, search: _Search, own: Sequence[UUID]) -> Sequence[float]:
        match search.request.WhichOneof("query"):
            case "document_id":
                vectors = await self.shelves.vectors(search.collection).vectors(search.collection.space, own)
                return _middle(list(vectors.values()), search.request.document_id)
            case _:
                return await _asked(search)

    async def _by_words(self, search: _Search) -> Mapping[UUID, float]:
        found, request = search.collection, search.request
        return await self.shelves.documents.by_words(
            found.collection_id, request.text, found.spec.language, request.options.filter, search.depth
        )

    async def _told(self, search: _Search) -> list[collections_pb2.SearchHit]:
        scores = search.scores()
        hits = await self.shelves.documents.hits(search.collection.collection_id, scores) if scores else {}
        told = [(chunk_id, score) for chunk_id, score in scores.items() if chunk_id in hits]
        for chunk_id, score in told[: search.wanted]:
            hit = hits[chunk_id]
            hit.score = score
            if (similarity := search.similarities.get(chunk_id)) is not None:
                hit.similarity = similarity
            if (rank := search.ranks.get(chunk_id)) is not None:
                hit.word_rank = rank
        return [hits[chunk_id] for chunk_id, _ in told[: search.wanted]]


def check(request: Request) -> None:
    """What its field rules cannot say. Raises VALIDATION."""
    filters.check(request.options.filter, "options.filter")
    if request.WhichOneof("query") == "text":
        check_name(request.text, "text")
        if not request.text.strip():
            raise invalid("text", "has no words")
        return
    if request.options.mode not in BY_MEANING:
        raise invalid("options.mode", "looks for words, and the search has no text")
    if request.options.HasField("rerank"):
        raise invalid("options.rerank", "compares with a text, and the search has none")


async def _told_at_once(search: _Search, store: TellingStore) -> list[collections_pb2.SearchHit]:
    vector, least = await _asked(search), search.least
    told = await store.told(search.collection.space, vector, search.options.filter, search.wanted)
    hits = [hit for hit in told if hit.similarity >= least]
    for hit in hits:
        hit.score = hit.similarity
    return hits


async def _asked(search: _Search) -> Sequence[float]:
    """The vector that is searched by, of a search by text or vector."""
    if search.request.WhichOneof("query") == "text":
        return await _embedded(search)
    return check_vector(search.collection, search.request.vector.values, "vector.values")


async def _embedded(search: _Search) -> Sequence[float]:
    spec = search.collection.spec
    asked = embeddings_pb2.EmbedInput(
        model=spec.model,
        texts=[search.request.text],
        dimensions=spec.dimensions,
        purpose=embeddings_pb2.EMBED_PURPOSE_QUERY,
    )
    made: embeddings_pb2.EmbedResponse = await search.bills.make(Operation.EMBED, asked)
    return check_vector(search.collection, made.embeddings[0].values, "text")


async def _reranked(search: _Search, hits: list[collections_pb2.SearchHit]) -> list[collections_pb2.SearchHit]:
    asked = embeddings_pb2.RerankInput(
        model=search.options.rerank.model,
        query=search.request.text,
        documents=[hit.text for hit in hits],
        top_count=search.limit,
    )
    made: embeddings_pb2.RerankResponse = await search.bills.make(Operation.RERANK, asked)
    for ranked in made.documents:
        hits[ranked.index].score = ranked.score
    return [hits[ranked.index] for ranked in made.documents]


def _middle(vectors: Sequence[Sequence[float]], document_id: str) -> Sequence[float]:
    """Of all chunks of a document."""
    if not vectors:
        raise not_found("document", document_id)
    return [math.fsum(values) / len(vectors) for values in zip(*vectors, strict=True)]
