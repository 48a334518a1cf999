"""Gemini's embeddings, in batches. What a vector is for is a field, or with newer models words before the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import Struct

from trunkline.v1 import embeddings_pb2
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect
from trunkline_server.wire.embedding import EmbedCraft, EmbedErrand, EmbedProduct, embedded
from trunkline_server.wire.gemini.names import qualified
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.pieces import Limits

PURPOSES: Final[Mapping[int, str]] = {
    embeddings_pb2.EMBED_PURPOSE_DOCUMENT: "RETRIEVAL_DOCUMENT",
    embeddings_pb2.EMBED_PURPOSE_QUERY: "RETRIEVAL_QUERY",
    embeddings_pb2.EMBED_PURPOSE_CLASSIFICATION: "CLASSIFICATION",
    embeddings_pb2.EMBED_PURPOSE_CLUSTERING: "CLUSTERING",
}
PREFIXES: Final[Mapping[int, str]] = {
    embeddings_pb2.EMBED_PURPOSE_DOCUMENT: "title: none | text: ",
    embeddings_pb2.EMBED_PURPOSE_QUERY: "task: search result | query: ",
    embeddings_pb2.EMBED_PURPOSE_CLASSIFICATION: "task: classification | query: ",
    embeddings_pb2.EMBED_PURPOSE_CLUSTERING: "task: clustering | query: ",
}


class Vector(Struct, gc=False):
    """One embedding."""

    values: list[float]


class Counted(Struct, rename="camel", gc=False):
    """What was read; older models do not tell."""

    prompt_token_count: float | None = None


class Reply(Struct, rename="camel", gc=False):
    """Of a batch, or of one text."""

    embeddings: list[Vector] | None = None
    embedding: Vector | None = None
    usage_metadata: Counted | None = None


REPLY: Final = msgspec.json.Decoder(Reply)
LIMITS: Final = Limits(texts_max=100)


@dataclass(frozen=True)
class GeminiEmbed(EmbedCraft):
    """At most 100 texts at once. `prefixed_models` begin the names of those that read the purpose in the text."""

    path: str = "/v1beta"
    limits: Limits = LIMITS
    dimensions_field: str = "outputDimensionality"
    purpose_field: str = "taskType"
    purposes: Mapping[int, str] = field(default_factory=lambda: PURPOSES)
    prefixed_models: tuple[str, ...] = ("models/gemini-embedding-2", "models/embeddinggemma")

    def encode(self, errand: EmbedErrand) -> HttpRequest:
        model = qualified(errand.model)
        wishes, prefix = dict(self.wishes(errand)), ""
        if model.startswith(self.prefixed_models):
            wishes.pop(self.purpose_field, None)
            prefix = PREFIXES.get(errand.input.purpose, "")
        requests = [
            dialect.merge({"model": model, "content": {"parts": [{"text": prefix + text}]}, **wishes}, errand.options)
            for text in errand.input.texts
        ]
        path = f"{self.path}/{model}:batchEmbedContents"
        return HttpRequest("POST", path, dialect.JSON_HEADERS, dialect.spell({"requests": requests}))

    def decode(self, errand: EmbedErrand, headers: Mapping[str, str], body: bytes) -> EmbedProduct:  # noqa: ARG002 - the body has it all
        reply = dialect.parse(REPLY, body)
        found = reply.embeddings or ([reply.embedding] if reply.embedding else None)
        if found is None:
            raise UpstreamFailure(FailureKind.BROKEN)
        counted = reply.usage_metadata or Counted()
        vectors = embedded(errand, [each.values for each in found])
        return Product(vectors, dialect.input_usage(counted.prompt_token_count))
