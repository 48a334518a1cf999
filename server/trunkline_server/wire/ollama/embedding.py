"""Ollama's embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from trunkline_server.core.product import Product
from trunkline_server.wire import dialect
from trunkline_server.wire.embedding import EmbedCraft, EmbedErrand, EmbedProduct, embedded
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.ollama import failures
from trunkline_server.wire.ollama.shapes import Shape
from trunkline_server.wire.pieces import Limits


class Reply(Shape):
    """An answer. It can also be an error."""

    embeddings: list[list[float]] | None = None
    model: str | None = None
    prompt_eval_count: float | None = None
    error: object = None


REPLY: Final = msgspec.json.Decoder(Reply)
LIMITS: Final = Limits(texts_max=512)


@dataclass(frozen=True)
class OllamaEmbed(EmbedCraft):
    """The server has no limit of its own; some hundreds at once keep its answers small."""

    path: str = "/api/embed"
    limits: Limits = LIMITS
    dimensions_field: str = "dimensions"

    def encode(self, errand: EmbedErrand) -> HttpRequest:
        body: dict[str, object] = {
            "model": errand.model,
            "input": list(errand.input.texts),
            "truncate": False,  # else it forgets the end of a text that is too long, and does not say so
            **dict(self.wishes(errand)),
        }
        return HttpRequest("POST", self.path, dialect.JSON_HEADERS, dialect.spell(dialect.merge(body, errand.options)))

    def decode(self, errand: EmbedErrand, headers: Mapping[str, str], body: bytes) -> EmbedProduct:  # noqa: ARG002 - the body has it all
        reply = dialect.parse(REPLY, body)
        if reply.error:
            raise failures.of_error(reply.error)
        vectors = embedded(errand, reply.embeddings or ())
        return Product(vectors, dialect.input_usage(reply.prompt_eval_count), reply.model or "")
