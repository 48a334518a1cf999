"""What many calls would cost together, before any of them is made."""

from __future__ import annotations

import pytest

from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, StartGateway, question
from trunkline.v1 import chat_pb2, credits_pb2
from trunkline_server.core.money import credits

GOOD = question("Hello")
UNKNOWN = question("Hello", "no-such-model")


async def quoted(gateway: RunningGateway, *inputs: chat_pb2.ChatInput, user: str = "ada") -> chat_pb2.QuoteManyResponse:
    request = chat_pb2.QuoteManyRequest(inputs=inputs)
    return await gateway.chat.QuoteMany(request, metadata=gateway.metadata(user))


async def granted(gateway: RunningGateway, nanos: int, user: str = "ada") -> None:
    request = credits_pb2.GrantCreditsRequest(user_id=user, amount=credits(nanos), request_id=f"grant-{user}")
    await gateway.credits.GrantCredits(request, metadata=gateway.metadata())


@pytest.fixture
async def poor(books: Books, start_gateway: StartGateway) -> RunningGateway:
    """A gateway whose users begin with nothing."""
    return await start_gateway(credits={"default_grant": "0"})


async def test_the_sum_of_what_each_would_cost(gateway: RunningGateway, books: Books) -> None:
    one = await gateway.chat.Quote(chat_pb2.QuoteRequest(input=GOOD), metadata=gateway.metadata("ada"))

    many = await quoted(gateway, GOOD, GOOD, GOOD)

    assert [result.quote for result in many.results] == [one] * 3
    assert (many.least.nanos, many.most.nanos) == (3 * one.least.nanos, 3 * one.most.nanos)
    assert (many.allowed, many.denial_reason) == (True, "")
    assert await books.holds() == await books.usage() == []


async def test_each_alone_is_covered_and_all_together_are_not(poor: RunningGateway) -> None:
    price = (await quoted(poor, GOOD)).most.nanos
    await granted(poor, 2 * price)

    two, three = await quoted(poor, GOOD, GOOD), await quoted(poor, GOOD, GOOD, GOOD)

    assert (two.allowed, three.allowed) == (True, False)
    assert all(result.quote.allowed for result in three.results)
    assert three.denial_reason == "CREDIT_INSUFFICIENT"


async def test_one_that_has_no_price_is_an_error_of_its_own(gateway: RunningGateway) -> None:
    alone = await quoted(gateway, GOOD)

    many = await quoted(gateway, GOOD, UNKNOWN)

    assert [result.WhichOneof("result") for result in many.results] == ["quote", "error"]
    assert many.most == alone.most
    assert (many.allowed, many.denial_reason) == (False, "MODEL_NOT_FOUND")
