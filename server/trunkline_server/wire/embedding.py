"""What all dialects share when they make vectors of texts: pieces, order, and two spellings of numbers."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from trunkline.v1 import embeddings_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Product, usage_of_all
from trunkline_server.wire.craft import Craft
from trunkline_server.wire.pieces import Limits

EmbedErrand: TypeAlias = Errand[embeddings_pb2.EmbedInput]
EmbedProduct: TypeAlias = Product[embeddings_pb2.EmbedResponse]

UNLIMITED: Final = Limits(texts_max=10_000)
FLOAT_BYTES: Final = 4
VALUES_TAG: Final = b"\x0a"  # field 1 of Embedding: packed, little endian, which is how providers pack numbers too


@dataclass(frozen=True)
class EmbedCraft(Craft[embeddings_pb2.EmbedInput, embeddings_pb2.EmbedResponse]):
    """The quirks are data: an empty field name means that the provider has no such field. `purposes` are its words for
    ours; one that it lacks is dropped with a warning."""

    path: str = ""
    limits: Limits = UNLIMITED
    dimensions_field: str = ""
    purpose_field: str = ""
    purposes: Mapping[int, str] = field(default_factory=dict)

    def split(self, errand: EmbedErrand) -> Sequence[EmbedErrand]:
        pieces = list(self.limits.pieces(errand.input.texts))
        return [_piece(errand, texts) for texts in pieces] if len(pieces) > 1 else (errand,)

    def join(self, errand: EmbedErrand, products: Sequence[EmbedProduct]) -> EmbedProduct:
        body = embeddings_pb2.EmbedResponse()
        for product in products:
            body.embeddings.MergeFrom(product.body.embeddings)
        require(len(body.embeddings) == len(errand.input.texts))
        return replace(products[0], body=body, usage=usage_of_all(products))

    def wishes(self, errand: EmbedErrand) -> Iterator[tuple[str, object]]:
        """Length and purpose of the vectors, as far as the provider lets one choose."""
        wanted = errand.input
        if wanted.HasField("dimensions"):
            if self.dimensions_field:
                yield self.dimensions_field, wanted.dimensions
            else:
                errand.drop("dimensions", "the provider does not let one choose the length of vectors")
        if wanted.purpose in self.purposes:
            yield self.purpose_field, self.purposes[wanted.purpose]
        elif wanted.purpose:
            errand.drop("purpose", "the provider makes the same vectors for every purpose")


def embedded(errand: EmbedErrand, vectors: Iterable[Sequence[float] | str]) -> embeddings_pb2.EmbedResponse:
    """The answer: one vector for each text, as numbers or packed in base64."""
    body = embeddings_pb2.EmbedResponse(embeddings=map(_embedding, vectors))
    require(len(body.embeddings) == len(errand.input.texts))
    return body


def in_order(vectors: Sequence[Sequence[float] | str], places: Sequence[int | None]) -> list[Sequence[float] | str]:
    """The vectors by the places that came with them; some servers tell none, and keep the order."""
    if all(place is None for place in places):
        return list(vectors)
    at = {place: vector for place, vector in zip(places, vectors, strict=True) if place is not None}
    require(len(at) == len(vectors) and at.keys() == set(range(len(vectors))))
    return [at[place] for place in range(len(vectors))]


def require(holds: bool) -> None:  # noqa: FBT001 - reads as a sentence
    """An answer for which this does not hold is none."""
    if not holds:
        raise UpstreamFailure(FailureKind.BROKEN)


def _piece(errand: EmbedErrand, texts: Sequence[str]) -> EmbedErrand:
    asked = errand.input
    piece = embeddings_pb2.EmbedInput(
        model=asked.model, texts=texts, purpose=asked.purpose, strict_parameters=asked.strict_parameters
    )
    if asked.HasField("dimensions"):
        piece.dimensions = asked.dimensions
    return replace(errand, input=piece)


def _embedding(vector: Sequence[float] | str) -> embeddings_pb2.Embedding:
    """Packed numbers are what our own message is made of, so they go in unread: four times as fast as a list."""
    require(len(vector) > 0)
    if not isinstance(vector, str):
        return embeddings_pb2.Embedding(values=vector)
    packed = _unpacked(vector)
    require(len(packed) > 0 and len(packed) % FLOAT_BYTES == 0)
    return embeddings_pb2.Embedding.FromString(VALUES_TAG + _varint(len(packed)) + packed)


def _unpacked(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise UpstreamFailure(FailureKind.BROKEN) from None


def _varint(number: int) -> bytes:
    spelled = bytearray()
    while number > 0x7F:
        spelled.append(number & 0x7F | 0x80)
        number >>= 7
    spelled.append(number)
    return bytes(spelled)
