"""EmbeddingService over a socket: pieces, order, bills, and what becomes of a call when a provider fails."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from tests.fixtures.books import Books
from tests.fixtures.desk import USER
from tests.fixtures.gateway import RunningGateway, StartGateway, detail_of
from tests.fixtures.refusal import Refusal, invalid, refusal, refusal_of
from tests.fixtures.upstream import Received, Upstream
from trunkline.v1 import chat_pb2, embeddings_pb2, usage_pb2
from trunkline_server.gateway.health import RECENT_MIN

MODEL = "openai/text-embedding-3-small"
PRICE_NANO_USD = 20_000_000  # for a million tokens


def embed(*texts: str, model: str = "sandbox/embed", **fields: Any) -> embeddings_pb2.EmbedRequest:
    return embeddings_pb2.EmbedRequest(input=embeddings_pb2.EmbedInput(model=model, texts=texts, **fields))


def vectors(asked: Received, *, tokens: int = 10) -> dict[str, Any]:
    """One number for each text, which is its length; told backwards."""
    texts = asked.json()["input"]
    data = [{"index": index, "embedding": [float(len(text))]} for index, text in enumerate(texts)]
    return {"data": data[::-1], "model": "text-embedding-3-small", "usage": {"prompt_tokens": tokens}}


@pytest.fixture
async def openai() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.respond(lambda asked: upstream.whole(json=vectors(asked)))
        yield upstream


@pytest.fixture
async def calling(start_gateway: StartGateway, openai: Upstream, books: Books) -> RunningGateway:
    environment = {"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": f"{openai.url}/v1"}
    return await start_gateway({**environment, "ANTHROPIC_API_KEY": "sk-y", "ANTHROPIC_BASE_URL": openai.url})


async def made(gateway: RunningGateway, request: embeddings_pb2.EmbedRequest) -> embeddings_pb2.EmbedResponse:
    response: embeddings_pb2.EmbedResponse = await gateway.embeddings.Embed(request, metadata=gateway.metadata(USER))
    return response


async def test_like_texts_have_like_vectors_and_a_bill(gateway: RunningGateway, books: Books) -> None:
    response = await made(gateway, embed("a red fox", "a red foxes den", "tax law"))
    one, other, far = (list(each.values) for each in response.embeddings)
    assert sum(a * b for a, b in zip(one, other, strict=True)) > sum(a * b for a, b in zip(one, far, strict=True))
    receipt = response.receipt
    assert (receipt.provider, receipt.model, receipt.outcome) == ("sandbox", "embed", chat_pb2.OUTCOME_COMPLETED)
    assert receipt.usage.input_tokens > 0
    assert receipt.charge.nanos > 0
    assert await books.charges() == [receipt.charge.nanos]
    [row] = await books.usage()
    assert (row["operation"], row["basis"], row["outcome"]) == ("embed", "provider_usage", "OUTCOME_COMPLETED")
    await books.audit()


async def test_more_than_a_provider_takes_at_once_is_put_together_in_order(
    calling: RunningGateway, openai: Upstream, books: Books
) -> None:
    texts = ["x" * (1 + index % 7) for index in range(5000)]
    response = await made(calling, embed(*texts, model=MODEL))
    assert [each.values[0] for each in response.embeddings] == [float(len(text)) for text in texts]
    assert [len(request.json()["input"]) for request in openai.requests] == [2048, 2048, 904]
    assert response.receipt.usage.input_tokens == 30
    assert response.receipt.charge.nanos == 3 * 10 * PRICE_NANO_USD // 1_000_000 == (await books.charges())[0]
    await books.audit()


async def test_a_piece_that_fails_is_tried_again_and_the_others_are_not(
    calling: RunningGateway, openai: Upstream, books: Books
) -> None:
    count = iter(range(100))
    openai.respond(lambda asked: openai.whole(status=500) if next(count) == 1 else openai.whole(json=vectors(asked)))
    response = await made(calling, embed(*["x"] * 3000, model=MODEL))
    assert len(response.embeddings) == 3000
    assert [len(request.json()["input"]) for request in openai.requests] == [2048, 952, 952]
    assert [attempt.failure_kind for attempt in response.receipt.attempts] == ["TRANSIENT", ""]
    assert response.receipt.usage.input_tokens == 20
    await books.audit()


async def test_where_a_piece_fails_for_good_what_was_answered_is_charged(
    calling: RunningGateway, openai: Upstream, books: Books
) -> None:
    count = iter(range(100))
    openai.respond(lambda asked: openai.whole(json=vectors(asked)) if next(count) == 0 else openai.whole(status=400))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await made(calling, embed(*["x"] * 3000, model=MODEL))
    assert refusal_of(caught.value) == Refusal("INVALID_ARGUMENT", "PROVIDER_REJECTED")
    charged = 10 * PRICE_NANO_USD // 1_000_000
    assert await books.charges() == [charged]
    assert dict(caught.value.trailing_metadata() or ())["x-trunkline-charge"] == "0.0000002"
    await books.audit()


async def test_another_provider_answers_all_or_nothing(
    start_gateway: StartGateway, openai: Upstream, books: Books
) -> None:
    environment = {"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": f"{openai.url}/v1"}
    chains = json.dumps({MODEL: ["sandbox/embed"]})
    gateway = await start_gateway(environment, routing={"chains": chains})
    openai.respond(lambda _: openai.whole(status=503))
    response = await made(gateway, embed("one", "two", model=MODEL))
    assert response.receipt.provider == "sandbox"
    assert [(each.provider, each.failure_kind) for each in response.receipt.attempts][-1] == ("sandbox", "")
    count = iter(range(100))
    openai.respond(lambda asked: openai.whole(json=vectors(asked)) if next(count) == 0 else openai.whole(status=401))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await made(gateway, embed(*["x"] * 3000, model=MODEL))
    assert refusal_of(caught.value).reason == "PROVIDER_CREDENTIALS"
    await books.audit()


@pytest.fixture
async def hedging(start_gateway: StartGateway, openai: Upstream, books: Books) -> RunningGateway:
    """The first provider has been quick so far."""
    environment = {"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": f"{openai.url}/v1"}
    routing = {"chains": json.dumps({MODEL: ["sandbox/embed"]}), "hedging": True}
    gateway = await start_gateway(environment, routing=routing)
    for _ in range(RECENT_MIN):
        await made(gateway, embed("x", model=MODEL))
    return gateway


async def test_a_second_provider_answers_beside_a_slow_one_and_alone_is_charged(
    hedging: RunningGateway, openai: Upstream, books: Books
) -> None:
    hanging = openai.hang()
    receipt = (await made(hedging, embed("one", "two", model=MODEL, routing=chat_pb2.Routing(hedge=True)))).receipt
    told = [(each.provider, each.failure_kind) for each in receipt.attempts]
    assert told == [("openai", "OVERTAKEN"), ("sandbox", "")]
    assert (await books.charges())[-1] == receipt.charge.nanos
    await hanging.client_left()
    await books.audit()


async def test_without_usage_it_is_estimated(calling: RunningGateway, openai: Upstream) -> None:
    openai.respond(lambda asked: openai.whole(json={**vectors(asked), "usage": None}))
    receipt = (await made(calling, embed("some words that count", model=MODEL))).receipt
    assert receipt.usage.source == usage_pb2.USAGE_SOURCE_ESTIMATED
    assert receipt.charge.nanos > 0
    assert [warning.code for warning in receipt.warnings] == [chat_pb2.WARNING_CODE_USAGE_ESTIMATED]


async def test_a_named_call_happens_once(calling: RunningGateway, openai: Upstream, books: Books) -> None:
    request = embed("hello", model=MODEL)
    request.request_id = "r1"
    first, second = [await made(calling, request) for _ in range(2)]
    assert first == second
    assert len(openai.requests) == len(await books.charges()) == 1


async def test_a_provider_that_makes_none_names_those_that_do(calling: RunningGateway, openai: Upstream) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await made(calling, embed("x", model="anthropic/claude-haiku-4-5"))
    assert refusal_of(caught.value).reason == "CAPABILITY_UNSUPPORTED"
    assert detail_of(caught.value, error_details_pb2.ErrorInfo).metadata["providers"] == "openai,sandbox"
    assert not openai.requests


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (embed(), "input.texts"),
        (embed("x", ""), "input.texts[1]"),
        (embed("x", " \n"), "input.texts[1]"),
        (embed("a\0b"), "input.texts[0]"),
        (embed("x", dimensions=0), "input.dimensions"),
        (embed("x", model=""), "input.model"),
        (embed("x", purpose=99), "input.purpose"),
        (embed("x", labels={"a": "b\0"}), "input.labels"),
        (embed("x", provider_options_json={"sandbox": "[]"}), "input.provider_options_json['sandbox']"),
        (embed("x", max_cost=usage_pb2.Amount(unit="USD", nanos=1)), "input.max_cost.unit"),
        (embeddings_pb2.EmbedRequest(), "input"),
    ],
)
async def test_bad_input_is_told_by_its_field(
    gateway: RunningGateway, request_: embeddings_pb2.EmbedRequest, field: str
) -> None:
    assert await refusal(made(gateway, request_)) == invalid(field)


async def test_money_is_held_before_anybody_is_asked(calling: RunningGateway, openai: Upstream) -> None:
    dear = embed("x" * 1000, model=MODEL, max_cost=usage_pb2.Amount(unit="CREDIT", nanos=1))
    assert (await refusal(made(calling, dear))).reason == "CREDIT_INSUFFICIENT"
    unpriced = embed("x", model="openai/some-new-embedding")
    assert (await refusal(made(calling, unpriced))).reason == "PRICE_UNKNOWN"
    assert not openai.requests


async def test_rerank_puts_the_best_first(gateway: RunningGateway, books: Books) -> None:
    input = embeddings_pb2.RerankInput(
        model="sandbox/rerank", query="red fox", documents=["tax law", "the red fox", "a fox"], top_count=2
    )
    request = embeddings_pb2.RerankRequest(input=input)
    response = await gateway.embeddings.Rerank(request, metadata=gateway.metadata(USER))
    assert [each.index for each in response.documents] == [1, 2]
    assert response.documents[0].score > response.documents[1].score
    assert response.receipt.usage.unit_counts["searches"] == 1
    assert await books.charges() == [response.receipt.charge.nanos] != [0]
    request.input.documents[1] = ""
    rejected = gateway.embeddings.Rerank(request, metadata=gateway.metadata(USER))
    assert await refusal(rejected) == invalid("input.documents[1]")
