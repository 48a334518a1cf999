"""Collections of documents, found by what they mean, by their words, or by both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Unpack

from trunkline.calling import Call, whole
from trunkline.passages import Documents, Hits, Mode, Where, documents_of, options_of
from trunkline.sync.connection import Connection
from trunkline.sync.jobs import Job
from trunkline.v1 import collections_pb2, collections_pb2_grpc, jobs_pb2


class Collections:
    """The collections of a tenant."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = collections_pb2_grpc.CollectionServiceStub(connection.channel)

    def create(
        self,
        name: str,
        *,
        model: str,
        dimensions: int,
        description: str = "",
        language: str = "",
        also: collections_pb2.CollectionSpec | None = None,
        request_id: str = "",
    ) -> Collection:
        """`model` embeds it, in vectors of so many `dimensions`. `language`: of its words, such as `english`."""
        spec = collections_pb2.CollectionSpec(
            name=name, description=description, model=model, dimensions=dimensions, language=language
        )
        request = collections_pb2.CreateCollectionRequest(spec=whole(spec, also), request_id=request_id)
        self._connection.look(self._stub.CreateCollection, request)
        return Collection(self._connection, name)

    def list(self) -> Iterator[collections_pb2.Collection]:
        request = collections_pb2.ListCollectionsRequest()
        for page in self._connection.pages(self._stub.ListCollections, request):
            for collection in page.collections:
                yield collection


class Collection:
    """One of them, by its name or id."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._stub = collections_pb2_grpc.CollectionServiceStub(connection.channel)
        self.name = name

    def upsert(self, documents: Documents, **call: Unpack[Call]) -> collections_pb2.UpsertResult:
        """Puts documents in, or others in their place: texts by their ids, or what `trunkline.entry` makes.

        Words that stay are not embedded again, and cost nothing.
        """
        return (self._upsert(documents, call, background=False)).result

    def submit(self, documents: Documents, **call: Unpack[Call]) -> Job:
        """The same with nobody waiting."""
        queued = self._upsert(documents, call, background=True)
        return Job(self._connection, jobs_pb2.Job(job_id=queued.job_id)).refresh()

    def search(
        self,
        text: str = "",
        *,
        vector: Sequence[float] = (),
        like: str = "",
        limit: int = 0,
        mode: Mode | None = None,
        min_similarity: float | None = None,
        where: Where | None = None,
        unless: Where | None = None,
        rerank: str = "",
        **call: Unpack[Call],
    ) -> Hits:
        """By a `text`, by a `vector`, or by what is `like` a document; the best first, 10 where no `limit` is given.

        `where` asks of each document's facts: `{"country": "NO", "year": between(2030)}`; none of `unless` may
        hold. `rerank`: a model that puts the best in order once more.
        """
        options = options_of(
            limit=limit, mode=mode, min_similarity=min_similarity, where=where, unless=unless, rerank=rerank
        )
        request = collections_pb2.SearchRequest(collection=self.name, options=options)
        if like:
            request.document_id = like
        elif vector:
            request.vector.values.extend(vector)
        else:
            request.text = text
        return Hits(self._connection.call(self._stub.Search, request, **call))

    def describe(self) -> collections_pb2.Collection:
        """How it is made, and how much is in it."""
        request = collections_pb2.GetCollectionRequest(collection=self.name)
        return (self._connection.look(self._stub.GetCollection, request)).collection

    def get(self, document_id: str) -> collections_pb2.StoredDocument:
        request = collections_pb2.GetDocumentRequest(collection=self.name, document_id=document_id)
        return (self._connection.look(self._stub.GetDocument, request)).document

    def documents(self) -> Iterator[collections_pb2.StoredDocument]:
        """All of them, without their texts."""
        request = collections_pb2.ListDocumentsRequest(collection=self.name)
        for page in self._connection.pages(self._stub.ListDocuments, request):
            for document in page.documents:
                yield document

    def remove(self, *document_ids: str) -> int:
        """Takes documents out; how many there were."""
        request = collections_pb2.DeleteDocumentsRequest(collection=self.name, document_ids=document_ids)
        return (self._connection.look(self._stub.DeleteDocuments, request)).deleted_count

    def delete(self) -> None:
        """With all that is in it."""
        request = collections_pb2.DeleteCollectionRequest(collection=self.name)
        self._connection.look(self._stub.DeleteCollection, request)

    def _upsert(self, documents: Documents, call: Call, *, background: bool) -> collections_pb2.UpsertDocumentsResponse:
        given = collections_pb2.UpsertInput(collection=self.name, documents=documents_of(documents))
        request = collections_pb2.UpsertDocumentsRequest(input=given, background=background)
        return self._connection.call(self._stub.UpsertDocuments, request, **call)
