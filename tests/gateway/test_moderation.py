"""ModerationService over a socket: what is harmful, in order, and what it costs."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from tests.fixtures.books import Books
from tests.fixtures.desk import USER
from tests.fixtures.gateway import RunningGateway, StartGateway, detail_of
from tests.fixtures.refusal import Refusal, invalid, refusal, refusal_of
from tests.fixtures.upstream import Received, Upstream
from trunkline.v1 import content_pb2, moderation_pb2
from trunkline_server.providers.sandbox.png import png

MISTRAL = "mistral/mistral-moderation-2411"
PRICE_NANO_USD = 100_000_000  # for a million tokens
PICTURE = content_pb2.Blob(data=png("a fox", 8, 8), media_type="image/png")


def judge(*texts: str, model: str = "sandbox/moderation", **fields: Any) -> moderation_pb2.ModerateRequest:
    return moderation_pb2.ModerateRequest(input=moderation_pb2.ModerationInput(model=model, texts=texts, **fields))


def judged(asked: Received) -> dict[str, Any]:
    """Harmful is what says so."""
    inputs = asked.json()["input"]
    return {"results": [_result("harm" in str(each)) for each in inputs], "usage": {"prompt_tokens": 7}}


def _result(harmful: bool) -> dict[str, Any]:
    return {"flagged": harmful, "categories": {"violence": harmful}, "category_scores": {"violence": 0.5}}


@pytest.fixture
async def calling(start_gateway: StartGateway, upstream: Upstream, books: Books) -> RunningGateway:
    upstream.respond(lambda asked: upstream.whole(json=judged(asked)))
    names = ("OPENAI", "MISTRAL", "ANTHROPIC")
    keys = {f"{name}_API_KEY": "sk-x" for name in names}
    return await start_gateway(keys | {f"{name}_BASE_URL": f"{upstream.url}/v1" for name in names})


async def made(gateway: RunningGateway, request: moderation_pb2.ModerateRequest) -> moderation_pb2.ModerateResponse:
    response: moderation_pb2.ModerateResponse
    response = await gateway.moderation.Moderate(request, metadata=gateway.metadata(USER))
    return response


async def test_texts_and_pictures_are_judged_in_order(gateway: RunningGateway, books: Books) -> None:
    response = await made(gateway, judge("a lovely day", "I will kill it", images=[PICTURE]))
    assert [result.flagged for result in response.results] == [False, True, False]
    [violence] = [each for each in response.results[1].categories if each.flagged]
    assert (violence.name, violence.score) == ("violence", 0.9)
    assert await books.charges() == [response.receipt.charge.nanos] != [0]
    [row] = await books.usage()
    assert (row["operation"], row["outcome"]) == ("moderation", "OUTCOME_COMPLETED")


async def test_what_a_provider_takes_in_pieces_is_put_together(
    calling: RunningGateway, upstream: Upstream, books: Books
) -> None:
    texts = ["harm" if index % 5 == 0 else "peace" for index in range(70)]
    response = await made(calling, judge(*texts, model=MISTRAL))
    assert [result.flagged for result in response.results] == [text == "harm" for text in texts]
    calls = len(upstream.requests)
    assert sum(len(request.json()["input"]) for request in upstream.requests) == 70
    assert response.receipt.usage.input_tokens == 7 * calls
    assert response.receipt.charge.nanos == 7 * calls * PRICE_NANO_USD // 1_000_000 == (await books.charges())[0]


async def test_what_costs_nothing_has_a_bill_of_nothing(
    calling: RunningGateway, upstream: Upstream, books: Books
) -> None:
    response = await made(calling, judge("peace", "harm", model="openai/omni-moderation-latest", images=[PICTURE]))
    assert [result.flagged for result in response.results] == [False, True, False]
    assert len(upstream.requests) == 2
    assert response.receipt.charge.nanos == 0
    assert [row["charge_nanos"] for row in await books.usage()] == [0]


async def test_a_failure_is_tried_again(calling: RunningGateway, upstream: Upstream, books: Books) -> None:
    upstream.reply(status=500, json={})
    receipt = (await made(calling, judge("peace", model=MISTRAL))).receipt
    assert [attempt.failure_kind for attempt in receipt.attempts] == ["TRANSIENT", ""]


async def test_a_named_call_happens_once(calling: RunningGateway, upstream: Upstream, books: Books) -> None:
    request = judge("peace", model=MISTRAL)
    request.request_id = "r1"
    first, second = [await made(calling, request) for _ in range(2)]
    assert first == second
    assert len(upstream.requests) == len(await books.charges()) == 1


async def test_fewer_judgements_than_texts_are_none(calling: RunningGateway, upstream: Upstream) -> None:
    upstream.respond(lambda _: upstream.whole(json={"results": [_result(False)]}))
    assert (await refusal(made(calling, judge("one", "two", model=MISTRAL)))).reason == "PROVIDERS_EXHAUSTED"


async def test_a_provider_that_does_not_judge_names_those_that_do(calling: RunningGateway) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await made(calling, judge("x", model="anthropic/claude-haiku-4-5"))
    assert refusal_of(caught.value).reason == "CAPABILITY_UNSUPPORTED"
    named = detail_of(caught.value, error_details_pb2.ErrorInfo).metadata["providers"]
    assert named == "mistral,openai,sandbox"


@pytest.mark.parametrize(
    ("request_", "refused"),
    [
        (judge(), invalid("input.texts")),
        (judge("x", ""), invalid("input.texts[1]")),
        (judge("a\0b"), invalid("input.texts[0]")),
        (judge(images=[content_pb2.Blob(data=b"text")]), invalid("input.images[0].data", "MEDIA_INVALID")),
        (judge(*["x"] * 257), invalid("input.texts")),
    ],
)
async def test_bad_input_is_told_by_its_field(
    gateway: RunningGateway, request_: moderation_pb2.ModerateRequest, refused: Refusal
) -> None:
    assert await refusal(made(gateway, request_)) == refused
