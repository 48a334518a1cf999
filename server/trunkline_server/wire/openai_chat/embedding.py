"""Embeddings as OpenAI spells them, and Azure, Mistral, xAI, OpenRouter and every compatible server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from trunkline_server.core.product import Product
from trunkline_server.wire import dialect
from trunkline_server.wire.embedding import EmbedCraft, EmbedErrand, EmbedProduct, embedded, in_order
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.openai_chat import failures
from trunkline_server.wire.openai_chat.shapes import Shape
from trunkline_server.wire.pieces import Limits


class Vector(Shape):
    """Numbers, or the same packed in base64."""

    embedding: list[float] | str
    index: int | None = None


class Counted(Shape):
    """What was read; embeddings have no output."""

    prompt_tokens: float | None = None
    total_tokens: float | None = None


class Reply(Shape):
    """An answer. Inside status 200 it can also be an error."""

    data: list[Vector] | None = None
    usage: Counted | None = None
    error: object = None
    id: str | None = None
    model: str | None = None


REPLY: Final = msgspec.json.Decoder(Reply)
LIMITS: Final = Limits(texts_max=2048, tokens_max=300_000)


@dataclass(frozen=True)
class OpenAIEmbed(EmbedCraft):
    """`encoding`: how numbers are asked for; packed ones are less than half as long. Empty: not said."""

    path: str = "/embeddings"
    limits: Limits = LIMITS
    dimensions_field: str = "dimensions"
    encoding: str = "base64"

    def encode(self, errand: EmbedErrand) -> HttpRequest:
        body: dict[str, object] = {"model": errand.model, "input": list(errand.input.texts)}
        if self.encoding:
            body["encoding_format"] = self.encoding
        body.update(self.wishes(errand))
        return HttpRequest("POST", self.path, dialect.JSON_HEADERS, dialect.spell(dialect.merge(body, errand.options)))

    def decode(self, errand: EmbedErrand, headers: Mapping[str, str], body: bytes) -> EmbedProduct:  # noqa: ARG002 - the body has it all
        reply = dialect.parse(REPLY, body)
        if reply.error:
            raise failures.of_error(reply.error)
        data, usage = reply.data or (), reply.usage or Counted()
        vectors = in_order([each.embedding for each in data], [each.index for each in data])
        return Product(
            embedded(errand, vectors),
            dialect.input_usage(usage.prompt_tokens, usage.total_tokens),
            reply.model or "",
            reply.id or "",
        )
