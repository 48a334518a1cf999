"""Cohere's embeddings, version 2: a purpose has to be named, and every type of number has a list of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from trunkline.v1 import embeddings_pb2
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect
from trunkline_server.wire.cohere.shapes import BilledUnits, Shape
from trunkline_server.wire.embedding import EmbedCraft, EmbedErrand, EmbedProduct, embedded
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.pieces import Limits

PURPOSES: Final[Mapping[int, str]] = {
    embeddings_pb2.EMBED_PURPOSE_UNSPECIFIED: "search_document",
    embeddings_pb2.EMBED_PURPOSE_DOCUMENT: "search_document",
    embeddings_pb2.EMBED_PURPOSE_QUERY: "search_query",
    embeddings_pb2.EMBED_PURPOSE_CLASSIFICATION: "classification",
    embeddings_pb2.EMBED_PURPOSE_CLUSTERING: "clustering",
}


class Meta(Shape):
    """What is charged."""

    billed_units: BilledUnits | None = None


class Vectors(Shape, rename={"floats": "float"}):
    """Full numbers, or the smaller ones that the caller's own options asked for."""

    floats: list[list[float]] | None = None
    int8: list[list[float]] | None = None
    uint8: list[list[float]] | None = None


class Reply(Shape):
    """An answer."""

    embeddings: Vectors
    id: str | None = None
    meta: Meta | None = None


REPLY: Final = msgspec.json.Decoder(Reply)
LIMITS: Final = Limits(texts_max=96)


@dataclass(frozen=True)
class CohereEmbed(EmbedCraft):
    """At most 96 texts at once."""

    path: str = "/v2/embed"
    limits: Limits = LIMITS
    dimensions_field: str = "output_dimension"
    purpose_field: str = "input_type"
    purposes: Mapping[int, str] = field(default_factory=lambda: PURPOSES)

    def encode(self, errand: EmbedErrand) -> HttpRequest:
        body: dict[str, object] = {
            "model": errand.model,
            "texts": list(errand.input.texts),
            "embedding_types": ["float"],
            **dict(self.wishes(errand)),
        }
        return HttpRequest("POST", self.path, dialect.JSON_HEADERS, dialect.spell(dialect.merge(body, errand.options)))

    def decode(self, errand: EmbedErrand, headers: Mapping[str, str], body: bytes) -> EmbedProduct:  # noqa: ARG002 - the body has it all
        reply = dialect.parse(REPLY, body)
        vectors = reply.embeddings.floats or reply.embeddings.int8 or reply.embeddings.uint8
        if vectors is None:
            raise UpstreamFailure(FailureKind.BROKEN)
        billed = (reply.meta and reply.meta.billed_units) or BilledUnits()
        usage = dialect.input_usage(billed.input_tokens)
        return Product(embedded(errand, vectors), usage, response_id=reply.id or "")
