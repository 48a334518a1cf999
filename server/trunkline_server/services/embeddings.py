"""EmbeddingService."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.v1 import embeddings_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.operation import Operation
from trunkline_server.gateway.errands import Errands


@dataclass(frozen=True)
class EmbeddingService:
    """Vectors, and documents in order."""

    errands: Errands

    async def embed(self, call: Call, request: embeddings_pb2.EmbedRequest) -> embeddings_pb2.EmbedResponse:
        response: embeddings_pb2.EmbedResponse = await self.errands.answer(call, Operation.EMBED, request.input)
        return response

    async def rerank(self, call: Call, request: embeddings_pb2.RerankRequest) -> embeddings_pb2.RerankResponse:
        response: embeddings_pb2.RerankResponse = await self.errands.answer(call, Operation.RERANK, request.input)
        return response
