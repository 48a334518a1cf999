"""Vectors, ranks and judgements that others recorded, read by our crafts and by a second, naive reader: they agree."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from tests.wire.recorded import Exchange, exchanges
from trunkline.v1 import content_pb2, embeddings_pb2, moderation_pb2, usage_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.failure import FailureKind
from trunkline_server.core.operation import Operation
from trunkline_server.providers.builtin import declaration
from trunkline_server.providers.provider import AnyCraft
from trunkline_server.wire.craft import Craft

FAILURES = {
    "mistral__embeddings__error__d41bbeed": FailureKind.INVALID,
    "openai__embeddings__error__d68b150a-a": FailureKind.MODEL_UNKNOWN,
    "openai__moderations__error__c2b6ddea-a": FailureKind.AUTH,
}
EMBEDS = (
    "openai__embeddings",
    "openrouter__embeddings",
    "mistral__embeddings",
    "cohere__v2-embed",
    "ollama__api-embed",
)
GEMINI = ("gemini__batchembedcontents", "gemini__embedcontent")
UNSAID = embeddings_pb2.EMBED_PURPOSE_UNSPECIFIED
PURPOSES = {
    "search_document": embeddings_pb2.EMBED_PURPOSE_DOCUMENT,
    "RETRIEVAL_DOCUMENT": embeddings_pb2.EMBED_PURPOSE_DOCUMENT,
}


def recorded(*prefixes: str, errors: bool = False) -> pytest.MarkDecorator:
    found = [each for prefix in prefixes for each in exchanges(f"{prefix}__", lambda one: one.good != errors)]
    return pytest.mark.parametrize("exchange", found)


def craft_of(exchange: Exchange, operation: Operation) -> Craft[Any, Any]:
    craft: AnyCraft = declaration(exchange.name.partition("__")[0]).crafts[operation]
    assert isinstance(craft, Craft)
    return craft


def errand_for(exchange: Exchange, asked: Any, options: dict[str, Any], model: str = "m") -> Errand[Any]:
    return Errand(exchange.name.partition("__")[0], model, asked, options)


# Vectors.


def numbers(vector: Any) -> list[float]:
    if isinstance(vector, str):
        packed = base64.b64decode(vector)
        return list(struct.unpack(f"<{len(packed) // 4}f", packed))
    return [struct.unpack("<f", struct.pack("<f", number))[0] for number in vector]


def told_vectors(answer: Any) -> list[list[float]]:
    if "data" in answer:
        return [numbers(each["embedding"]) for each in sorted(answer["data"], key=lambda each: each["index"])]
    if "embedding" in answer:
        return [numbers(answer["embedding"]["values"])]
    found = answer["embeddings"]
    found = found["float"] if isinstance(found, dict) else found
    return [numbers(each["values"] if isinstance(each, dict) else each) for each in found]


def told_tokens(answer: Any) -> int | None:
    if "usage" in answer:
        return int(answer["usage"]["prompt_tokens"])
    if "meta" in answer:
        return int(answer["meta"]["billed_units"]["input_tokens"])
    told = answer.get("usageMetadata", {}).get("promptTokenCount", answer.get("prompt_eval_count"))
    return None if told is None else int(told)


@recorded(*EMBEDS, *GEMINI)
def test_vectors(exchange: Exchange) -> None:
    answer = exchange.answer()
    vectors = told_vectors(answer)
    asked = embeddings_pb2.EmbedInput(texts=["word"] * len(vectors))
    errand = errand_for(exchange, asked, {})

    product = craft_of(exchange, Operation.EMBED).decode(errand, exchange.headers, exchange.body)

    assert [list(each.values) for each in product.body.embeddings] == vectors
    assert (product.usage.input_tokens if product.usage else None) == told_tokens(answer)
    assert product.model == answer.get("model", "")


def texts_of(sent: Any) -> list[str] | None:
    """The texts of a question; None where it has tokens in place of them."""
    given = sent.pop("input", None) or sent.pop("texts", None)
    given = [given] if isinstance(given, str) else given
    return given if all(isinstance(each, str) for each in given) else None


@recorded(*EMBEDS)
def test_questions_for_vectors(exchange: Exchange) -> None:
    sent = exchange.question()
    rest = dict(sent)
    texts = texts_of(rest)
    if texts is None:
        return  # numbers of tokens: our callers have texts
    asked = embeddings_pb2.EmbedInput(texts=texts, purpose=PURPOSES.get(rest.pop("input_type", ""), UNSAID))
    for field in ("dimensions", "output_dimension"):
        if field in rest:
            asked.dimensions = rest.pop(field)
    errand = errand_for(exchange, asked, rest, rest.pop("model"))

    request = craft_of(exchange, Operation.EMBED).encode(errand)

    assert exchange.path.endswith(request.path)
    assert plain(json.loads(request.body)) == plain(sent)
    assert errand.warnings == []


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """One spelling for what means the same: a lone text, and how numbers are wanted."""
    body = {key: value for key, value in body.items() if key not in ("encoding_format", "truncate")}
    if isinstance(body.get("input"), str):
        body["input"] = [body["input"]]
    return body


@recorded("gemini__embedcontent")
def test_questions_for_vectors_of_gemini(exchange: Exchange) -> None:
    if not exchange.request:
        return  # recorded without its question
    sent = exchange.question()
    (part,) = sent["content"]["parts"]
    rest = {key: value for key, value in sent.items() if key not in ("content", "taskType", "model")}
    asked = embeddings_pb2.EmbedInput(texts=[part["text"]], purpose=PURPOSES.get(sent.get("taskType", ""), UNSAID))
    model = exchange.path.rpartition("/")[2].partition(":")[0]

    request = craft_of(exchange, Operation.EMBED).encode(errand_for(exchange, asked, rest, model))

    (spelled,) = json.loads(request.body)["requests"]
    assert request.path == f"/v1beta/models/{model}:batchEmbedContents"
    assert spelled.pop("model") == f"models/{model}"
    assert spelled == {**sent, "content": {"parts": [part]}}


# Ranks.


@recorded("cohere__v2-rerank", "openrouter__rerank")
def test_ranks(exchange: Exchange) -> None:
    sent, answer = exchange.question(), exchange.answer()
    rest = {key: value for key, value in sent.items() if key not in ("model", "query", "documents", "top_n")}
    asked = embeddings_pb2.RerankInput(query=sent["query"], documents=sent["documents"])
    if "top_n" in sent:
        asked.top_count = sent["top_n"]
    errand, craft = errand_for(exchange, asked, rest, sent["model"]), craft_of(exchange, Operation.RERANK)

    request = craft.encode(errand)
    product = craft.decode(errand, exchange.headers, exchange.body)

    assert exchange.path.endswith(request.path)
    assert json.loads(request.body) == sent
    assert [(each.index, each.score) for each in product.body.documents] == [
        (each["index"], each["relevance_score"]) for each in answer["results"]
    ]
    assert product.usage == charged(answer)


def charged(answer: Any) -> usage_pb2.Usage:
    searches = answer.get("meta", {}).get("billed_units", {}).get("search_units")
    if searches:
        return usage_pb2.Usage(unit_counts={"searches": searches}, source=usage_pb2.USAGE_SOURCE_PROVIDER)
    tokens = answer["usage"]["total_tokens"]
    return usage_pb2.Usage(input_tokens=tokens, source=usage_pb2.USAGE_SOURCE_PROVIDER)


# Judgements.


@recorded("openai__moderations")
def test_judgements(exchange: Exchange) -> None:
    sent, (told,) = exchange.question(), exchange.answer()["results"]
    craft = craft_of(exchange, Operation.MODERATION)
    alone = errand_for(exchange, moderation_pb2.ModerationInput(texts=["word"]), {})

    product = craft.decode(alone, exchange.headers, exchange.body)

    (result,) = product.body.results
    assert result.flagged == told["flagged"]
    assert {each.name: each.flagged for each in result.categories} == told["categories"]
    assert {each.name: each.score for each in result.categories} == told["category_scores"]
    assert [each.name for each in result.categories] == sorted(told["categories"])
    request = json.loads(craft.encode(errand_for(exchange, wanted(sent["input"]), {}, sent.get("model", "m"))).body)
    assert request["input"] == ([sent["input"]] if isinstance(sent["input"], str) else sent["input"])


def wanted(given: Any) -> moderation_pb2.ModerationInput:
    if isinstance(given, str):
        return moderation_pb2.ModerationInput(texts=[given])
    pictures = [each["image_url"]["url"] for each in given if each["type"] == "image_url"]
    return moderation_pb2.ModerationInput(
        texts=[each["text"] for each in given if each["type"] == "text"],
        images=[content_pb2.Blob(uri=url) for url in pictures],
    )


@recorded("openai__embeddings", "mistral__embeddings", "openai__moderations", errors=True)
def test_errors(exchange: Exchange) -> None:
    wire = declaration(exchange.name.partition("__")[0]).wire

    failure = wire.failure(exchange.status, exchange.headers, exchange.body)

    assert failure.kind is FAILURES[exchange.name.removesuffix(".json")]
