"""Texts as vectors, and documents by how well they answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from trunkline.sync.connection import Connection
from trunkline.v1 import embeddings_pb2, embeddings_pb2_grpc
from trunkline.vectors import Ranked, Vectors

Purpose: TypeAlias = Literal["document", "query", "classification", "clustering"]


class Embeddings:
    """What models do with texts besides answering."""

    def __init__(self, connection: Connection, user: str) -> None:
        self._connection = connection
        self._user = user
        self._stub = embeddings_pb2_grpc.EmbeddingServiceStub(connection.channel)

    def embed(
        self, texts: Sequence[str], *, model: str, dimensions: int | None = None, purpose: Purpose | None = None
    ) -> Vectors:
        """One vector for each text, in order."""
        wanted = f"EMBED_PURPOSE_{purpose.upper() if purpose else 'UNSPECIFIED'}"
        given = embeddings_pb2.EmbedInput(
            model=model, texts=texts, dimensions=dimensions, purpose=embeddings_pb2.EmbedPurpose.Value(wanted)
        )
        request = embeddings_pb2.EmbedRequest(input=given)
        return Vectors(self._connection.call(self._stub.Embed, request, user=self._user))

    def rerank(self, query: str, documents: Sequence[str], *, model: str, top: int | None = None) -> Sequence[Ranked]:
        """The documents, the best first."""
        given = embeddings_pb2.RerankInput(model=model, query=query, documents=documents, top_count=top)
        request = embeddings_pb2.RerankRequest(input=given)
        said = self._connection.call(self._stub.Rerank, request, user=self._user)
        return [Ranked(each.index, each.score, documents[each.index]) for each in said.documents]
