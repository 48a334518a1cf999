"""Rate limits over several gateways that share a Redis, and what becomes of them while it does not answer."""

from __future__ import annotations

import asyncio
import signal
import time
from functools import partial

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from tests.fixtures.gateway import RunningGateway, StartGateway, question, reason_of
from tests.fixtures.until import until
from tests.fixtures.valkey import Valkey
from trunkline.v1 import chat_pb2, limits_pb2
from trunkline_server import config

REPLICAS = 3
MONTH = Duration(seconds=30 * 24 * 3600)
PATIENT = {"redis_timeout_s": 20}
"""A machine that is busy with other tests is no Redis that is away."""
USED_TOKENS = 2
TAKEN_TOKENS = 100
"""What a call is taken for, at most."""


async def fleet(start: StartGateway, url: str, **limits: float) -> list[RunningGateway]:
    environment = {"TRUNKLINE_REDIS_URL": url}
    return [await start(environment, limits=limits) for _ in range(REPLICAS)]


async def set_everywhere(gateways: list[RunningGateway], amount: int, unit: limits_pb2.LimitUnit.ValueType) -> None:
    limit = limits_pb2.RateLimit(name="it", unit=unit, amount=amount, window=MONTH)
    limit.algorithm = limits_pb2.LIMIT_ALGORITHM_FIXED_WINDOW
    request = limits_pb2.SetRateLimitRequest(rate_limit=limit)
    await gateways[0].limits.SetRateLimit(request, metadata=gateways[0].metadata())
    for gateway in gateways:
        await until(partial(_knows, gateway, amount))


def _knows(gateway: RunningGateway, amount: int) -> bool:
    rates = gateway.house.gateway.admission.limiter.book._rates
    return any(limit.amount == amount for limits in rates.values() for limit in limits)


def _is_near(gateway: RunningGateway) -> bool:
    return not gateway.house.gateway.admission.limiter.degraded


async def through(gateway: RunningGateway, output_tokens_max: int = 0) -> bool:
    input = question("Hello")
    if output_tokens_max:
        input.sampling.max_output_tokens = output_tokens_max
    try:
        await gateway.chat.Complete(chat_pb2.CompleteRequest(input=input), metadata=gateway.metadata("ann"))
    except grpc.aio.AioRpcError as error:
        if reason_of(error) != "RATE_LIMITED":
            raise
        return False
    return True


async def test_calls_are_counted_together(start_gateway: StartGateway, valkey_url: str) -> None:
    gateways = await fleet(start_gateway, valkey_url, **PATIENT)
    await set_everywhere(gateways, 50, limits_pb2.LIMIT_UNIT_REQUESTS)

    tries = await asyncio.gather(*(through(gateways[number % REPLICAS]) for number in range(90)))

    assert sum(tries) == 50


async def test_tokens_are_counted_together(start_gateway: StartGateway, valkey_url: str) -> None:
    gateways = await fleet(start_gateway, valkey_url, **PATIENT)
    await set_everywhere(gateways, 300, limits_pb2.LIMIT_UNIT_TOKENS)

    rounds = [await asyncio.gather(*(through(gateway, 20) for gateway in gateways)) for _ in range(40)]

    request = limits_pb2.GetQuotaRequest(user_id="ann")
    [quota] = (await gateways[0].limits.GetQuota(request, metadata=gateways[0].metadata())).rate_quotas
    used = sum(map(sum, rounds)) * USED_TOKENS
    assert 300 - quota.remaining == used  # by the bill, whatever they were taken for
    assert 300 - TAKEN_TOKENS < used <= 300


async def test_a_frozen_redis_leaves_each_replica_its_share(start_gateway: StartGateway, own_valkey: Valkey) -> None:
    gateways = await fleet(start_gateway, own_valkey.url, redis_timeout_s=0.5, replicas_min=REPLICAS)
    await set_everywhere(gateways, 9, limits_pb2.LIMIT_UNIT_REQUESTS)
    own_valkey.process.send_signal(signal.SIGSTOP)
    try:
        tries = [[await through(gateway) for _ in range(5)] for gateway in gateways]
    finally:
        own_valkey.process.send_signal(signal.SIGCONT)

    assert [sum(each) for each in tries] == [3, 3, 3]
    for gateway in gateways:
        await until(partial(_is_near, gateway))
        assert await through(gateway)


async def test_who_knows_that_redis_is_away_does_not_wait_for_it(
    start_gateway: StartGateway, own_valkey: Valkey
) -> None:
    [gateway, *_] = await fleet(start_gateway, own_valkey.url, redis_timeout_s=2)
    await set_everywhere([gateway], 1000, limits_pb2.LIMIT_UNIT_REQUESTS)
    own_valkey.process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.gather(*(through(gateway) for _ in range(3)))
        assert gateway.house.gateway.admission.limiter.degraded
        began = time.perf_counter()
        assert await through(gateway)
    finally:
        own_valkey.process.send_signal(signal.SIGCONT)

    assert time.perf_counter() - began < 2  # it would wait so long for an answer


async def test_a_gateway_starts_without_its_redis(start_gateway: StartGateway) -> None:
    gateway = await start_gateway({"TRUNKLINE_REDIS_URL": "unix:///nowhere/at/all"})
    await set_everywhere([gateway], 2, limits_pb2.LIMIT_UNIT_REQUESTS)

    assert [await through(gateway) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("url", ["http://h", "redis//h"])
def test_a_url_of_something_else_is_refused(url: str) -> None:
    with pytest.raises(config.ConfigError, match="redis_url"):
        config.load({"TRUNKLINE_REDIS_URL": url})
