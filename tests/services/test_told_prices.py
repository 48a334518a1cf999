"""Prices that providers tell in their lists of models, over a socket: which of them count, and from when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fixtures.gateway import RunningGateway, StartGateway, question
from tests.fixtures.model_calls import KEY, asked, model, prices, set_price, sync, unit
from tests.fixtures.refusal import Refusal, refusal
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream
from trunkline.v1 import chat_pb2

NEW = "acme/quill-9"
NAME = f"openrouter/{NEW}"
SHIPPED = "openai/gpt-4o"
UNKNOWN = Refusal("FAILED_PRECONDITION", "PRICE_UNKNOWN")


@pytest.fixture
async def router() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
def environment(router: Upstream) -> dict[str, str]:
    """What points `openrouter` at the scripted upstream."""
    return {"OPENROUTER_API_KEY": KEY, "OPENROUTER_BASE_URL": router.url}


@pytest.fixture
async def reaching(start_gateway: StartGateway, environment: dict[str, str]) -> RunningGateway:
    return await start_gateway(environment)


def lists(router: Upstream, prompt: str, *, name: str = NEW, **more: Any) -> None:
    pricing = {"prompt": prompt, "completion": "0.000002", **more}
    router.reply(json={"data": [{"id": name, "pricing": pricing}]})


async def charge(gateway: RunningGateway, router: Upstream) -> chat_pb2.Completion:
    """What a call costs that used a million tokens of input, and none of output."""
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0}
    choices = [{"message": {"content": "hi"}, "finish_reason": "stop"}]
    router.reply(json={"choices": choices, "usage": usage})
    return await asked(gateway, NAME)


async def test_a_model_without_a_price_costs_what_its_provider_tells(
    reaching: RunningGateway, router: Upstream
) -> None:
    assert await refusal(asked(reaching, NAME)) == UNKNOWN
    lists(router, "0.0000010000000001")
    (told,) = (await sync(reaching, "openrouter"))["openrouter"].prices
    assert [(each.unit, each.per_million.unit, each.per_million.nanos) for each in told.units] == [
        ("input", "USD", 1_000_000_001),
        ("output", "USD", 2_000_000_000),
    ]
    assert (told.provider, told.model, told.source) == ("openrouter", NEW, "provider")
    assert (await model(reaching, NAME)).price == told
    assert (await charge(reaching, router)).price_version == told.price_version
    quote = chat_pb2.QuoteRequest(input=question("hello", NAME))
    assert (await reaching.chat.Quote(quote, metadata=reaching.metadata())).price_source == "provider"


async def test_a_change_follows_and_the_past_stays(reaching: RunningGateway, router: Upstream) -> None:
    charges = []
    for prompt in ("0.000001", "0.000001", "0.000003"):
        lists(router, prompt)
        told = (await sync(reaching, "openrouter"))["openrouter"].prices
        charges.append((len(told), (await charge(reaching, router)).charge.nanos))
    assert charges == [(1, 10**9), (0, 10**9), (1, 3 * 10**9)]
    listed = await prices(reaching, NAME)
    assert [each.units[0].per_million.nanos for each in listed] == [10**9, 3 * 10**9]
    assert listed[0].effective_time.ToDatetime() < listed[1].effective_time.ToDatetime()


async def test_what_is_shipped_or_was_set_wins(reaching: RunningGateway, router: Upstream) -> None:
    lists(router, "0.000009", name=SHIPPED)
    assert not (await sync(reaching, "openrouter"))["openrouter"].prices
    assert (await model(reaching, f"openrouter/{SHIPPED}")).price.source == "built-in"
    lists(router, "0.000001")
    await sync(reaching, "openrouter")
    own = await set_price(reaching, NAME, unit("input", 5), unit("output", 5))
    lists(router, "0.000002")
    assert not (await sync(reaching, "openrouter"))["openrouter"].prices
    assert (await model(reaching, NAME)).price == own
    assert [each.source for each in await prices(reaching, NAME)] == ["provider", own.source]


async def test_what_nobody_can_mean_is_logged_and_the_last_price_stays(
    reaching: RunningGateway, router: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    lists(router, "0.000001")
    await sync(reaching, "openrouter")
    before = (await model(reaching, NAME)).price
    lists(router, "-1")
    told = (await sync(reaching, "openrouter"))["openrouter"]
    assert (told.failure_kind, list(told.prices)) == ("", [])
    assert (await model(reaching, NAME)).price == before
    (line,) = (each.getMessage() for each in caplog.records if "prices_refused" in each.getMessage())
    assert line == f"models.prices_refused provider=openrouter count=1 some={NEW}: input is negative"


async def test_other_replicas_hear_of_it(
    reaching: RunningGateway, start_gateway: StartGateway, environment: dict[str, str], router: Upstream
) -> None:
    other = await start_gateway(environment)
    lists(router, "0.000001")
    (told,) = (await sync(reaching, "openrouter"))["openrouter"].prices

    async def has_heard() -> bool:
        return (await model(other, NAME)).price == told

    await until(has_heard, 5)


async def test_the_operator_can_have_them_not_count(
    start_gateway: StartGateway, reaching: RunningGateway, environment: dict[str, str], router: Upstream
) -> None:
    lists(router, "0.000001")
    await sync(reaching, "openrouter")
    strict = await start_gateway({**environment, "TRUNKLINE_CREDITS__PROVIDER_PRICES": "false"})
    assert not (await sync(strict, "openrouter"))["openrouter"].prices
    assert await refusal(asked(strict, NAME)) == UNKNOWN
