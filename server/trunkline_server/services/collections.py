"""CollectionService: documents that are found by what they mean, by their words, or by both."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.v1 import collections_pb2, jobs_pb2
from trunkline_server.core import ids
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.text import readable
from trunkline_server.gateway.collections.finding import Finding
from trunkline_server.gateway.collections.intake import Intake
from trunkline_server.gateway.collections.shelves import Shelves
from trunkline_server.gateway.jobs.orders import Orders, Wish, made
from trunkline_server.store.collections import Collection
from trunkline_server.store.jobs import Jobs

JOBS_SCOPE = "jobs:write"


@dataclass(frozen=True)
class CollectionService:
    """The tenant's collections, whoever of its users asks."""

    shelves: Shelves
    intake: Intake
    finding: Finding
    tokens: PageTokens
    orders: Orders
    jobs: Jobs

    async def create_collection(
        self, call: Call, request: collections_pb2.CreateCollectionRequest
    ) -> collections_pb2.CreateCollectionResponse:
        if ids.parse("coll", request.spec.name) is not None:
            raise invalid("spec.name", "must not look like the id of a collection")
        readable("spec.description", request.spec.description)
        self.intake.require_model(call, request.spec)
        created = await self.shelves.create(call.caller.tenant_id, request.spec)
        return collections_pb2.CreateCollectionResponse(collection=created.message())

    async def get_collection(
        self, call: Call, request: collections_pb2.GetCollectionRequest
    ) -> collections_pb2.GetCollectionResponse:
        found = await self._find(call, request.collection)
        told = found.message()
        told.document_count, told.chunk_count = await self.shelves.collections.counts(found.collection_id)
        return collections_pb2.GetCollectionResponse(collection=told)

    async def list_collections(
        self, call: Call, request: collections_pb2.ListCollectionsRequest
    ) -> collections_pb2.ListCollectionsResponse:
        tenant_id = call.caller.tenant_id
        paging = self.tokens.paging(tenant_id, request)
        rows = await self.shelves.collections.page(tenant_id, paging.behind, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.spec.name,))
        return collections_pb2.ListCollectionsResponse(
            collections=[row.message() for row in page], next_page_token=token
        )

    async def delete_collection(
        self, call: Call, request: collections_pb2.DeleteCollectionRequest
    ) -> collections_pb2.DeleteCollectionResponse:
        await self.shelves.remove(call.caller.tenant_id, await self._find(call, request.collection))
        return collections_pb2.DeleteCollectionResponse()

    async def upsert_documents(
        self, call: Call, request: collections_pb2.UpsertDocumentsRequest
    ) -> collections_pb2.UpsertDocumentsResponse:
        if request.background:
            return collections_pb2.UpsertDocumentsResponse(job_id=await self._ordered(call, request.input))
        return collections_pb2.UpsertDocumentsResponse(result=await self.intake.put(call, request.input))

    async def get_document(
        self, call: Call, request: collections_pb2.GetDocumentRequest
    ) -> collections_pb2.GetDocumentResponse:
        found, documents = await self._find(call, request.collection), self.shelves.documents
        stored = await documents.find(found.collection_id, readable("document_id", request.document_id))
        chunks = await documents.chunks_of(found.collection_id, request.document_id)
        stored.document.chunks.extend(chunks.values())
        return collections_pb2.GetDocumentResponse(document=stored)

    async def list_documents(
        self, call: Call, request: collections_pb2.ListDocumentsRequest
    ) -> collections_pb2.ListDocumentsResponse:
        found = await self._find(call, request.collection)
        paging = self.tokens.paging(call.caller.tenant_id, request)
        after = paging.behind
        rows = await self.shelves.documents.page(found.collection_id, after, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.document.document_id,))
        return collections_pb2.ListDocumentsResponse(documents=page, next_page_token=token)

    async def delete_documents(
        self, call: Call, request: collections_pb2.DeleteDocumentsRequest
    ) -> collections_pb2.DeleteDocumentsResponse:
        found = await self._find(call, request.collection)
        names = [readable(f"document_ids[{place}]", name) for place, name in enumerate(request.document_ids)]
        return collections_pb2.DeleteDocumentsResponse(deleted_count=await self.intake.delete(found, names))

    async def search(self, call: Call, request: collections_pb2.SearchRequest) -> collections_pb2.SearchResponse:
        found = await self.finding.search(call, request)
        return collections_pb2.SearchResponse(hits=found.hits, receipts=found.receipts)

    async def _find(self, call: Call, name: str) -> Collection:
        return await self.shelves.find(call.caller.tenant_id, readable("collection", name))

    async def _ordered(self, call: Call, input: collections_pb2.UpsertInput) -> str:
        if not call.caller.may(JOBS_SCOPE):
            message = f"the API key lacks the scope {JOBS_SCOPE!r}"
            raise TrunklineError(Reason.SCOPE_MISSING, message, metadata={"scope": JOBS_SCOPE})
        order = await self.orders.make(call, jobs_pb2.JobSpec(upsert=input), Wish(), call.idempotency_key)
        return ids.spell("job", made(order, await self.jobs.enqueue(order)))
