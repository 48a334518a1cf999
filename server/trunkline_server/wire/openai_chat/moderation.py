"""Moderation as OpenAI spells it, and Mistral."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import msgspec

from trunkline.v1 import moderation_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Product, usage_of_all
from trunkline_server.wire import dialect
from trunkline_server.wire.craft import Craft
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.openai_chat import failures
from trunkline_server.wire.openai_chat.embedding import Counted
from trunkline_server.wire.openai_chat.parts import address, text_block
from trunkline_server.wire.openai_chat.shapes import Shape
from trunkline_server.wire.pieces import Limits

ModerationErrand: TypeAlias = Errand[moderation_pb2.ModerationInput]
ModerationProduct: TypeAlias = Product[moderation_pb2.ModerateResponse]


class Result(Shape):
    """What one input was found to be. Not everybody draws the sum; what an older model does not look for is null."""

    categories: dict[str, bool | None]
    category_scores: dict[str, float | None] = msgspec.field(default_factory=dict)
    flagged: bool | None = None


class Reply(Shape):
    """An answer. Inside status 200 it can also be an error."""

    results: list[Result] | None = None
    usage: Counted | None = None
    error: object = None
    id: str | None = None
    model: str | None = None


REPLY: Final = msgspec.json.Decoder(Reply)
LIMITS: Final = Limits(texts_max=32)


@dataclass(frozen=True)
class OpenAIModeration(Craft[moderation_pb2.ModerationInput, moderation_pb2.ModerateResponse]):
    """Texts are judged each on its own, but pictures together with all that stands beside them: so each goes alone."""

    path: str = "/moderations"
    limits: Limits = LIMITS
    takes_images: bool = True

    def split(self, errand: ModerationErrand) -> Sequence[ModerationErrand]:
        self._check(errand.input)
        texts = [_piece(errand, texts=piece) for piece in self.limits.pieces(errand.input.texts)]
        return [*texts, *(_piece(errand, images=[image]) for image in errand.input.images)] or (errand,)

    def encode(self, errand: ModerationErrand) -> HttpRequest:
        self._check(errand.input)
        body: dict[str, object] = {"model": errand.model, "input": _content(errand.input)}
        return HttpRequest("POST", self.path, dialect.JSON_HEADERS, dialect.spell(dialect.merge(body, errand.options)))

    def decode(self, errand: ModerationErrand, headers: Mapping[str, str], body: bytes) -> ModerationProduct:  # noqa: ARG002 - the body has it all
        reply = dialect.parse(REPLY, body)
        if reply.error:
            raise failures.of_error(reply.error)
        results, usage = reply.results or [], reply.usage or Counted()
        told = Product(
            moderation_pb2.ModerateResponse(results=map(_result, results)),
            dialect.input_usage(usage.prompt_tokens, usage.total_tokens),
            reply.model or "",
            reply.id or "",
        )
        return _whole(errand, told)

    def join(self, errand: ModerationErrand, products: Sequence[ModerationProduct]) -> ModerationProduct:
        body = moderation_pb2.ModerateResponse()
        for product in products:
            body.results.MergeFrom(product.body.results)
        return _whole(errand, replace(products[0], body=body, usage=usage_of_all(products)))

    def _check(self, asked: moderation_pb2.ModerationInput) -> None:
        if asked.images and not self.takes_images:
            raise dialect.unsupported("images", "the provider judges texts only")


def _content(asked: moderation_pb2.ModerationInput) -> list[object]:
    pictures: list[object] = [
        {"type": "image_url", "image_url": {"url": address(image, "image/png", f"images[{place}]")}}
        for place, image in enumerate(asked.images)
    ]
    return [*map(text_block, asked.texts), *pictures] if pictures else list(asked.texts)


def _piece(errand: ModerationErrand, **content: Sequence[object]) -> ModerationErrand:
    asked = errand.input
    piece = moderation_pb2.ModerationInput(
        model=asked.model,
        strict_parameters=asked.strict_parameters,
        **content,  # type: ignore[arg-type]  # one of the two fields
    )
    return replace(errand, input=piece)


def _whole(errand: ModerationErrand, product: ModerationProduct) -> ModerationProduct:
    if len(product.body.results) != len(errand.input.texts) + len(errand.input.images):
        raise UpstreamFailure(FailureKind.BROKEN)
    return product


def _result(told: Result) -> moderation_pb2.ModerationResult:
    names = sorted({*told.categories, *told.category_scores})
    found = [_category(told, name) for name in names if _looked_for(told, name)]
    flagged = any(each.flagged for each in found) if told.flagged is None else told.flagged
    return moderation_pb2.ModerationResult(flagged=flagged, categories=found)


def _looked_for(told: Result, name: str) -> bool:
    return told.categories.get(name) is not None or told.category_scores.get(name) is not None


def _category(told: Result, name: str) -> moderation_pb2.ModerationCategory:
    return moderation_pb2.ModerationCategory(
        name=name, flagged=bool(told.categories.get(name)), score=told.category_scores.get(name) or 0.0
    )
