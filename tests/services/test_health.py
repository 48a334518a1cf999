"""How providers do, told by ProviderService over a socket; and an operator's hand on breakers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from tests.fixtures.dialects import DIALECTS
from tests.fixtures.gateway import RunningGateway, StartGateway, question
from tests.fixtures.refusal import Refusal, refusal, refusal_of
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream
from trunkline.v1 import chat_pb2, providers_pb2

MODEL = "openai/gpt-4o-mini"


@pytest.fixture
async def openai() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.respond(lambda _: upstream.whole(json=DIALECTS[0].whole("hi", 1)))
        yield upstream


@pytest.fixture
async def reaching(start_gateway: StartGateway, openai: Upstream) -> RunningGateway:
    return await start_gateway(DIALECTS[0].environment(openai.url), chat={"attempts_max": 1})


async def ask(gateway: RunningGateway) -> str:
    """What became of a call."""
    request = chat_pb2.CompleteRequest(input=question("Hello", MODEL))
    try:
        await gateway.chat.Complete(request, metadata=gateway.metadata())
    except grpc.aio.AioRpcError as error:
        return refusal_of(error).reason
    return "OK"


async def health(gateway: RunningGateway) -> providers_pb2.ProviderHealth:
    request = providers_pb2.GetProviderRequest(name="openai")
    return (await gateway.providers.GetProvider(request, metadata=gateway.metadata())).provider.health


def states(told: providers_pb2.ProviderHealth) -> dict[str, str]:
    return {each.name: providers_pb2.BreakerState.Name(each.state)[14:] for each in told.breakers}


def watch(gateway: RunningGateway, *names: str) -> Any:
    request = providers_pb2.WatchProviderHealthRequest(names=names)
    return gateway.providers.WatchProviderHealth(request, metadata=gateway.metadata())


async def until_open(gateway: RunningGateway, openai: Upstream) -> None:
    openai.respond(lambda _: openai.whole(status=500))
    while await ask(gateway) != "CIRCUIT_OPEN":
        pass


async def test_calls_are_counted_and_timed(reaching: RunningGateway, openai: Upstream) -> None:
    before = await health(reaching)
    assert not before.HasField("last_check_time")
    assert not before.HasField("success_rate")
    for _ in range(3):
        assert await ask(reaching) == "OK"
    openai.reply(status=503)
    assert await ask(reaching) == "PROVIDERS_EXHAUSTED"
    openai.reply(status=422)
    assert await ask(reaching) == "PROVIDER_REJECTED"
    told = await health(reaching)
    assert (told.attempt_count, told.failure_count, told.success_rate) == (4, 1, 0.75)
    assert (told.last_failure_kind, told.in_flight_count) == ("TRANSIENT", 0)
    assert told.last_check_time.seconds >= told.last_failure_time.seconds > 0
    assert told.answer_latency.ToMicroseconds() > 0
    assert not told.HasField("first_token_latency")
    assert states(told) == {"openai": "CLOSED", MODEL: "CLOSED"}
    [model] = [each for each in told.breakers if each.name == MODEL]
    assert (model.call_count, model.failure_count) == (4, 1)


async def test_a_test_is_a_check(reaching: RunningGateway, openai: Upstream) -> None:
    openai.reply(status=401)
    request = providers_pb2.TestProviderRequest(name="openai")
    await reaching.providers.TestProvider(request, metadata=reaching.metadata())
    told = await health(reaching)
    assert (told.last_failure_kind, told.failure_count) == ("AUTH", 1)


async def test_a_provider_that_is_off_has_no_health(reaching: RunningGateway) -> None:
    request = providers_pb2.GetProviderRequest(name="gemini")
    found = await reaching.providers.GetProvider(request, metadata=reaching.metadata())
    assert not found.provider.HasField("health")


async def test_an_open_breaker_tells_when_it_lets_a_call_through_and_can_be_reset(
    reaching: RunningGateway, openai: Upstream
) -> None:
    await until_open(reaching, openai)
    told = await health(reaching)
    assert states(told) == {"openai": "CLOSED", MODEL: "OPEN"}
    assert 20 <= told.breakers[0].probe_time.seconds - told.last_failure_time.seconds <= 35
    openai.respond(lambda _: openai.whole(json=DIALECTS[0].whole("hi", 1)))
    assert await ask(reaching) == "CIRCUIT_OPEN"
    reset = providers_pb2.ResetBreakerRequest(name=MODEL)
    answer = await reaching.providers.ResetBreaker(reset, metadata=reaching.metadata())
    assert answer.breaker.state == providers_pb2.BREAKER_STATE_CLOSED
    assert answer.breaker.failure_count == 0
    assert await ask(reaching) == "OK"


@pytest.mark.parametrize("name", ["openai", MODEL])
async def test_one_that_is_opened_by_hand_stays_open(reaching: RunningGateway, openai: Upstream, name: str) -> None:
    request = providers_pb2.OpenBreakerRequest(name=name)
    answer = await reaching.providers.OpenBreaker(request, metadata=reaching.metadata())
    assert answer.breaker.state == providers_pb2.BREAKER_STATE_OPEN
    assert not answer.breaker.HasField("probe_time")
    assert await ask(reaching) == "CIRCUIT_OPEN"
    assert openai.requests == []
    reset = providers_pb2.ResetBreakerRequest(name=name)
    await reaching.providers.ResetBreaker(reset, metadata=reaching.metadata())
    assert await ask(reaching) == "OK"


async def test_breakers_that_are_not_there(reaching: RunningGateway) -> None:
    missing = Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")
    for name in ("nobody", "nobody/x", "openai/never-asked"):
        request = providers_pb2.ResetBreakerRequest(name=name)
        assert await refusal(reaching.providers.ResetBreaker(request, metadata=reaching.metadata())) == missing
    opening = providers_pb2.OpenBreakerRequest(name="nobody/x")
    assert await refusal(reaching.providers.OpenBreaker(opening, metadata=reaching.metadata())) == missing


async def test_a_watcher_hears_all_and_then_what_changes(reaching: RunningGateway, openai: Upstream) -> None:
    call = watch(reaching)
    first = {(await call.read()).health.provider for _ in range(2)}
    assert first == {"openai", "sandbox"}
    await until_open(reaching, openai)
    async with asyncio.timeout(10):
        while states(told := (await call.read()).health).get(MODEL) != "OPEN":
            assert told.provider == "openai"
    call.cancel()
    unknown = await refusal(watch(reaching, "nobody").read())
    assert unknown == Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def test_a_watcher_is_sent_away_when_the_replica_goes(reaching: RunningGateway) -> None:
    call = watch(reaching, "openai")
    assert (await call.read()).health.provider == "openai"
    reaching.house.drain.ask()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async with asyncio.timeout(10):
            await call.read()
    assert refusal_of(caught.value) == Refusal("UNAVAILABLE", "DRAINING")


async def test_other_replicas_hear_of_breakers(
    reaching: RunningGateway, start_gateway: StartGateway, openai: Upstream
) -> None:
    other = await start_gateway(DIALECTS[0].environment(openai.url), chat={"attempts_max": 1})
    assert [await ask(each) for each in (reaching, other)] == ["OK", "OK"]
    await until_open(reaching, openai)

    async def tells(state: str) -> bool:
        return states(await health(other)).get(MODEL) == state

    await until(lambda: tells("HALF_OPEN"), 5)
    openai.respond(lambda _: openai.whole(json=DIALECTS[0].whole("hi", 1)))
    assert [await ask(other), await ask(other)] == ["OK", "OK"]
    assert await tells("CLOSED")
    opened = providers_pb2.OpenBreakerRequest(name=MODEL)
    await reaching.providers.OpenBreaker(opened, metadata=reaching.metadata())
    await until(lambda: tells("OPEN"), 5)
    assert await ask(other) == "CIRCUIT_OPEN"
    reset = providers_pb2.ResetBreakerRequest(name=MODEL)
    await reaching.providers.ResetBreaker(reset, metadata=reaching.metadata())
    await until(lambda: tells("CLOSED"), 5)
    assert await ask(other) == "OK"
