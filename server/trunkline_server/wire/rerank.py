"""Reranking in the one spelling that Cohere, Jina, vLLM and OpenRouter share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from trunkline.v1 import embeddings_pb2, usage_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect
from trunkline_server.wire.craft import Craft
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.openai_chat import failures

RerankErrand: TypeAlias = Errand[embeddings_pb2.RerankInput]
RerankProduct: TypeAlias = Product[embeddings_pb2.RerankResponse]


class Ranked(msgspec.Struct, gc=False):
    """A document by its place in the question."""

    index: int
    relevance_score: float


class Counted(msgspec.Struct, gc=False):
    """What is charged: searches, or tokens."""

    search_units: float | None = None
    prompt_tokens: float | None = None
    total_tokens: float | None = None


class Meta(msgspec.Struct, gc=False):
    """Where Cohere tells what it charges."""

    billed_units: Counted | None = None


class Reply(msgspec.Struct, gc=False):
    """An answer. Inside status 200 it can also be an error."""

    results: list[Ranked] | None = None
    usage: Counted | None = None
    meta: Meta | None = None
    error: object = None
    id: str | None = None
    model: str | None = None


REPLY: Final = msgspec.json.Decoder(Reply)


@dataclass(frozen=True)
class Rerank(Craft[embeddings_pb2.RerankInput, embeddings_pb2.RerankResponse]):
    """The documents go in one request: scores are comparable only within one answer."""

    path: str = "/rerank"

    def encode(self, errand: RerankErrand) -> HttpRequest:
        asked = errand.input
        body: dict[str, object] = {"model": errand.model, "query": asked.query, "documents": list(asked.documents)}
        if asked.HasField("top_count"):
            body["top_n"] = min(asked.top_count, len(asked.documents))
        return HttpRequest("POST", self.path, dialect.JSON_HEADERS, dialect.spell(dialect.merge(body, errand.options)))

    def decode(self, errand: RerankErrand, headers: Mapping[str, str], body: bytes) -> RerankProduct:  # noqa: ARG002 - the body has it all
        reply = dialect.parse(REPLY, body)
        if reply.error:
            raise failures.of_error(reply.error)
        if reply.results is None:
            raise UpstreamFailure(FailureKind.BROKEN)
        documents = [
            embeddings_pb2.RankedDocument(index=each.index, score=each.relevance_score)
            for each in _best(errand.input, reply.results)
        ]
        told = (reply.meta and reply.meta.billed_units) or reply.usage or Counted()
        answer = embeddings_pb2.RerankResponse(documents=documents)
        return Product(answer, _usage(told), reply.model or "", reply.id or "")


def _best(asked: embeddings_pb2.RerankInput, results: Sequence[Ranked]) -> list[Ranked]:
    """The best first, no more than were asked for; equals keep the order of the question."""
    places = {each.index for each in results}
    if len(places) != len(results) or not places <= set(range(len(asked.documents))):
        raise UpstreamFailure(FailureKind.BROKEN)
    ranked = sorted(results, key=lambda each: (-each.relevance_score, each.index))
    return ranked[: asked.top_count] if asked.HasField("top_count") else ranked


def _usage(told: Counted) -> usage_pb2.Usage | None:
    if not dialect.count(told.search_units):
        return dialect.input_usage(told.prompt_tokens, told.total_tokens)
    searches = {"searches": dialect.count(told.search_units)}
    return usage_pb2.Usage(unit_counts=searches, source=usage_pb2.USAGE_SOURCE_PROVIDER)
