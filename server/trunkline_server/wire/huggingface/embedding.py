"""Feature extraction: a vector for each text, or for each token of it, in as many brackets as the model likes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from trunkline_server.core.product import Product
from trunkline_server.wire import dialect
from trunkline_server.wire.embedding import EmbedCraft, EmbedErrand, EmbedProduct, embedded, require
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.huggingface import task_path
from trunkline_server.wire.openai_chat import failures
from trunkline_server.wire.pieces import Limits

SHAPES: Final[tuple[msgspec.json.Decoder[Any], ...]] = tuple(
    msgspec.json.Decoder(shape)
    for shape in (list[list[float]], list[float], list[list[list[float]]], list[list[list[list[float]]]])
)
ERROR: Final = msgspec.json.Decoder(dict[str, object])
LIMITS: Final = Limits(texts_max=32)


@dataclass(frozen=True)
class HuggingFaceEmbed(EmbedCraft):
    """Usage is not told. At most 32 texts at once, which is what the servers behind it take unless told otherwise."""

    limits: Limits = LIMITS

    def encode(self, errand: EmbedErrand) -> HttpRequest:
        body: dict[str, object] = {"inputs": list(errand.input.texts), **dict(self.wishes(errand))}
        path = task_path(errand.model, "feature-extraction")
        return HttpRequest("POST", path, dialect.JSON_HEADERS, dialect.spell(dialect.merge(body, errand.options)))

    def decode(self, errand: EmbedErrand, headers: Mapping[str, str], body: bytes) -> EmbedProduct:  # noqa: ARG002 - the body has it all
        return Product(embedded(errand, [_vector(row) for row in _rows(body)]), model=errand.model)


def _rows(body: bytes) -> Sequence[Any]:
    """What was found for each text. The usual shape is tried first; a lone vector is that of a lone text."""
    for shape in SHAPES:
        with suppress(ValueError, RecursionError):
            told: Sequence[Any] = shape.decode(body)
            return [told] if told and isinstance(told[0], float) else told
    raise failures.of_error(dialect.parse(ERROR, body))


def _vector(row: Sequence[Any]) -> Sequence[float]:
    """The vector of a text: its own, or the mean of those of its tokens, as sentence models make it themselves."""
    if row and isinstance(row[0], float):
        return row
    require(len({len(token) for token in row}) == 1)
    if isinstance(row[0][0] if row[0] else 0.0, float):
        return [sum(column) / len(row) for column in zip(*row, strict=True)]
    require(len(row) == 1)
    return _vector(row[0])
