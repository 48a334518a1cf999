"""Documents on their way into a collection: cut, compared with what is there, embedded, kept.

checked ──▶ cut ──▶ words as before ──▶ only what else is said of them is kept
                └▶ other words ──▶ embedded ──▶ vectors put ──▶ chunks put, old ones out ──▶ old vectors removed

Chunks make vectors known: one whose chunk is not there, because something broke off, is not found.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from trunkline.v1 import collections_pb2, embeddings_pb2
from trunkline_server.core import ids
from trunkline_server.core.call import Call
from trunkline_server.core.collections import metadata
from trunkline_server.core.collections.chunks import cut
from trunkline_server.core.collections.metadata import facts_of
from trunkline_server.core.collections.vectors import Point
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.core.operation import Operation
from trunkline_server.core.question import check_name
from trunkline_server.core.text import readable
from trunkline_server.gateway.collections.bills import Bills
from trunkline_server.gateway.collections.shelves import Shelves
from trunkline_server.gateway.errands import Errands
from trunkline_server.store.collections import Collection
from trunkline_server.store.documents import Known, Written

CHUNKS_MAX: Final = 10_000
CUT_HERE_CHARS: Final = 16_384
"""Texts that are longer together are cut beside the event loop."""


@dataclass(frozen=True)
class Intake:
    """For callers and for jobs."""

    shelves: Shelves
    errands: Errands

    def require_model(self, call: Call, spec: collections_pb2.CollectionSpec) -> None:
        """Raises MODEL_NOT_FOUND, and what else keeps a caller from a model."""
        self.errands.gateway.admission.candidates.first(call, embeddings_pb2.EmbedInput(model=spec.model))

    async def put(self, call: Call, input: collections_pb2.UpsertInput) -> collections_pb2.UpsertResult:
        """Raises RESOURCE_NOT_FOUND, VALIDATION and what embedding can."""
        found, written = await self.prepared(call, input)
        known = await self.shelves.documents.known(found.collection_id, [each.head.document_id for each in written])
        new = [each for each in written if not _same_words(each, known)]
        for each in written:
            if _same_words(each, known) and known[each.head.document_id].body != each.head.SerializeToString(
                deterministic=True
            ):
                await self._describe(found, each)
        result = collections_pb2.UpsertResult(embedded_count=len(new), unchanged_count=len(written) - len(new))
        if new:
            await self._take(call, found, new, result)
        return result

    async def prepared(self, call: Call, input: collections_pb2.UpsertInput) -> tuple[Collection, list[Written]]:
        """Checked and cut. Raises RESOURCE_NOT_FOUND, VALIDATION."""
        check(input)
        found = await self.shelves.find(call.caller.tenant_id, readable("input.collection", input.collection))
        chars = sum(len(document.text) for document in input.documents)
        cutting = (found.spec, input)
        written = _cut_all(*cutting) if chars <= CUT_HERE_CHARS else await asyncio.to_thread(_cut_all, *cutting)
        if sum(len(each.chunks) for each in written) > CHUNKS_MAX:
            raise invalid("input.documents", f"have more than {CHUNKS_MAX} chunks together; send fewer at once")
        return found, written

    async def _take(
        self, call: Call, found: Collection, new: Sequence[Written], result: collections_pb2.UpsertResult
    ) -> None:
        """Those that have other words than before."""
        bills = Bills(self.errands, call)
        made: embeddings_pb2.EmbedResponse = await bills.make(Operation.EMBED, embedding(found, new))
        points = list(_points(found, new, [each.values for each in made.embeddings]))
        await self.shelves.vectors(found).put(found.space, points)
        gone = await self.shelves.documents.put(found.collection_id, new, found.spec.language)
        await self._remove(found, gone)
        result.chunk_count = len(points)
        result.receipt.CopyFrom(bills.receipts[0])

    async def _describe(self, found: Collection, each: Written) -> None:
        """The same vectors with other facts."""
        chunk_ids = await self.shelves.documents.describe(found.collection_id, each.head, each.digest)
        store, facts = self.shelves.vectors(found), facts_of(each.head.metadata)
        vectors = await store.vectors(found.space, chunk_ids)
        await store.put(found.space, [Point(chunk_id, vector, facts) for chunk_id, vector in vectors.items()])

    async def _remove(self, found: Collection, chunk_ids: list[UUID]) -> None:
        """A store that does not answer is tidied up later: without their chunks vectors are not found."""
        if not chunk_ids:
            return
        try:
            await self.shelves.vectors(found).remove(found.space, chunk_ids)
        except TrunklineError as error:
            if error.reason is not Reason.STORE_UNAVAILABLE:
                raise
            await self.shelves.collections.want_sweep(found.collection_id)

    async def delete(self, found: Collection, document_ids: Sequence[str]) -> int:
        """How many of them were there."""
        count, chunk_ids = await self.shelves.documents.delete(found.collection_id, document_ids)
        await self._remove(found, chunk_ids)
        return count


def embedding(found: Collection, written: Sequence[Written]) -> embeddings_pb2.EmbedInput:
    """What is asked of the model."""
    return embeddings_pb2.EmbedInput(
        model=found.spec.model,
        texts=[text for each in written for _, text in each.chunks],
        dimensions=found.spec.dimensions,
        purpose=embeddings_pb2.EMBED_PURPOSE_DOCUMENT,
    )


def check_vector(found: Collection, vector: Sequence[float], path: str) -> Sequence[float]:
    """Raises VALIDATION where it does not fit the others."""
    if len(vector) != found.spec.dimensions:
        raise invalid(path, f"has {len(vector)} dimensions, and the collection's vectors have {found.spec.dimensions}")
    if found.spec.metric == collections_pb2.METRIC_COSINE and not any(vector):
        raise invalid(path, "has no direction: all of its numbers are 0")
    return vector


def check(input: collections_pb2.UpsertInput) -> None:
    """What its field rules cannot say. Raises VALIDATION."""
    seen: set[str] = set()
    for index, document in enumerate(input.documents):
        path = f"input.documents[{index}]"
        for name in ("document_id", "title", "uri"):
            readable(f"{path}.{name}", getattr(document, name))
        if document.document_id in seen:
            raise invalid(f"{path}.document_id", "is there twice")
        seen.add(document.document_id)
        metadata.check(document.metadata, f"{path}.metadata")
        _check_words(document, path)


def _check_words(document: collections_pb2.Document, path: str) -> None:
    if bool(document.text) == bool(document.chunks):
        raise invalid(f"{path}.text", "or chunks, one of them, says what the document says")
    check_name(document.text, f"{path}.text")
    for place, chunk in enumerate(document.chunks):
        check_name(chunk, f"{path}.chunks[{place}]")
    if not (document.text.strip() if document.text else all(chunk.strip() for chunk in document.chunks)):
        raise invalid(f"{path}.text", "has no words")


def _same_words(each: Written, known: Mapping[str, Known]) -> bool:
    there = known.get(each.head.document_id)
    return there is not None and there.digest == each.digest


def _cut_all(spec: collections_pb2.CollectionSpec, input: collections_pb2.UpsertInput) -> list[Written]:
    return [_cut(spec, document) for document in input.documents]


def _cut(spec: collections_pb2.CollectionSpec, document: collections_pb2.Document) -> Written:
    texts = list(document.chunks) or cut(document.text, spec.chunk_tokens, spec.overlap_tokens)
    digest = hashlib.sha256()
    for text in texts:
        spelled = text.encode()
        digest.update(len(spelled).to_bytes(4) + spelled)
    head = collections_pb2.Document(
        document_id=document.document_id, title=document.title, uri=document.uri, metadata=document.metadata
    )
    return Written(head, digest.digest(), [(ids.new_uuid(), text) for text in texts])


def _points(found: Collection, new: Sequence[Written], vectors: Sequence[Sequence[float]]) -> Iterator[Point]:
    """Raises VALIDATION where the model makes vectors of another length."""
    told = iter(vectors)
    for each in new:
        facts = facts_of(each.head.metadata)
        for (chunk_id, _), vector in zip(each.chunks, told, strict=False):
            yield Point(chunk_id, _fitting(found, vector), facts)


def _fitting(found: Collection, vector: Sequence[float]) -> Sequence[float]:
    try:
        return check_vector(found, vector, "input.collection")
    except TrunklineError as error:
        wrong = f"the model {found.spec.model!r} made a vector that does not fit: {error.violations[0].description}"
        raise invalid("input.collection", wrong) from None
