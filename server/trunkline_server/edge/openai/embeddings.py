"""`/v1/embeddings`."""

from __future__ import annotations

from array import array
from base64 import b64encode
from collections.abc import Sequence
from sys import byteorder
from typing import Any, Final

from google.protobuf.message import Message
from msgspec import Raw, Struct

from trunkline.v1 import embeddings_pb2
from trunkline_server.core.errors import invalid
from trunkline_server.door.boundary import Procedure, Visit
from trunkline_server.edge.exchange import Reply
from trunkline_server.edge.openai.errand import Errand, told
from trunkline_server.edge.reading import Int32, decode, extend

EMBED: Final = "/trunkline.v1.EmbeddingService/Embed"


class EmbeddingsRequest(Struct):
    model: str
    input: str | list[str | int | list[int]]
    dimensions: Int32 | None = None
    encoding_format: str | None = None
    trunkline: Raw = Raw()


class Embeddings(Errand):
    """The official client asks for base64, and unpacks it unseen."""

    def __init__(self) -> None:
        self._packed = False

    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        request = decode(body, EmbeddingsRequest)
        self._packed = request.encoding_format == "base64"
        input = extend(embeddings_pb2.EmbedInput(), request.trunkline, request.model)
        input.texts[:] = _texts(request.input)
        if request.dimensions is not None:
            input.dimensions = request.dimensions
        return visit.procedure, embeddings_pb2.EmbedRequest(input=input)

    def write(self, visit: Visit, response: Any) -> Reply:
        used = response.receipt.usage.input_tokens
        data = [
            {"object": "embedding", "index": index, "embedding": self._spelled(each)}
            for index, each in enumerate(response.embeddings)
        ]
        usage = {"prompt_tokens": used, "total_tokens": used}
        return told(visit, response, {"object": "list", "data": data, "model": response.receipt.model, "usage": usage})

    def _spelled(self, embedding: embeddings_pb2.Embedding) -> str | list[float]:
        if not self._packed:
            return list(embedding.values)
        numbers = array("f", embedding.values)
        if byteorder == "big":
            numbers.byteswap()
        return b64encode(numbers.tobytes()).decode()


def _texts(given: str | Sequence[str | int | list[int]]) -> list[str]:
    """Which words the numbers of tokens stand for, only who made the model knows."""
    if isinstance(given, str):
        return [given]
    texts = [each for each in given if isinstance(each, str)]
    if len(texts) < len(given):
        raise invalid("input", "must be texts: numbers of tokens are not taken")
    return texts
