"""What callers of the Python client are told when something goes wrong, and what they do not notice."""

from __future__ import annotations

import asyncio

import pytest

from tests.fixtures.gateway import RunningGateway, StartGateway
from trunkline import (
    AsyncTrunkline,
    CreditInsufficient,
    InvalidRequest,
    LimitReached,
    NotAuthenticated,
    NotFound,
    StreamInterrupted,
    TimedOut,
    Trunkline,
    TrunklineError,
    Unavailable,
    errors,
    refusals,
)
from trunkline.v1 import errors_pb2, limits_pb2, limits_pb2_grpc
from trunkline_server.core.errors import Reason
from trunkline_server.door.status import CODES


async def test_what_is_wrong_is_told_by_field(trunkline: AsyncTrunkline) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await trunkline.temperature(3).send("hello")

    assert raised.value.reason == "VALIDATION"
    assert list(raised.value.fields) == ["input.sampling.temperature"]
    assert raised.value.request_id.startswith("req_")
    assert str(raised.value).startswith("VALIDATION: ")


async def test_a_bad_key_and_a_model_that_is_not_there(gateway: RunningGateway, trunkline: AsyncTrunkline) -> None:
    async with AsyncTrunkline(gateway.house.grpc_address, key="wrong") as stranger:
        with pytest.raises(NotAuthenticated):
            await stranger.chat("hello")
    with pytest.raises(NotFound) as raised:
        await trunkline.model("sandbox/nobody").send("hello")
    assert raised.value.code == "NOT_FOUND"


async def test_a_provider_that_fails_is_told_attempt_by_attempt(trunkline: AsyncTrunkline) -> None:
    with pytest.raises(Unavailable) as raised:
        await trunkline.model("sandbox/down").send("hello")

    assert raised.value.attempts[0].http_status == 500


async def test_a_limit_says_when_it_goes_on(trunkline: AsyncTrunkline) -> None:
    limit = limits_pb2.RateLimit(
        name="one", selector=limits_pb2.LimitSelector(), kind=limits_pb2.LIMIT_KIND_REQUESTS, limit=1
    )
    assert limit
    assert limits_pb2_grpc


async def test_a_broken_stream_says_how_far_it_came(trunkline: AsyncTrunkline) -> None:
    stream, pieces = trunkline.model("sandbox/cut").stream("one two three four five"), []

    with pytest.raises(StreamInterrupted) as raised:
        async for piece in stream:
            pieces.append(piece)  # noqa: PERF401 - what came before the error counts

    assert "".join(pieces).startswith("one two")
    assert raised.value.partial is not None
    assert raised.value.partial.charge.nanos > 0


async def test_no_credits(trunkline: AsyncTrunkline) -> None:
    with pytest.raises(CreditInsufficient):
        await trunkline.max_cost("0.000000001").send("hello")


async def test_time_is_over(trunkline: AsyncTrunkline) -> None:
    with pytest.raises(TimedOut):
        await trunkline.model("sandbox/slow").timeout(0.3).send("hello")


async def test_nobody_there(unused_tcp_port: int) -> None:
    async with AsyncTrunkline(f"127.0.0.1:{unused_tcp_port}", key="k") as nobody:
        with pytest.raises(Unavailable) as raised:
            await nobody.chat("hello")
    assert raised.value.code == "UNAVAILABLE"
    with Trunkline(f"127.0.0.1:{unused_tcp_port}", key="k") as nobody_either, pytest.raises(Unavailable):
        nobody_either.chat("hello")


async def test_a_name_makes_a_call_happen_once(trunkline: AsyncTrunkline) -> None:
    once = trunkline.user("u1").request_id("order-7")

    first, second = await once.send("hello"), await once.send("hello")

    assert first.completion == second.completion
    assert first.charge == 100 - await trunkline.credits.balance("u1")


async def test_a_replica_that_goes_is_not_noticed(start_gateway: StartGateway) -> None:
    first, second = await start_gateway(), await start_gateway()
    both = f"ipv4:{first.house.grpc_address},{second.house.grpc_address}"
    async with AsyncTrunkline(both, key=first.key) as trunkline:
        assert [(await trunkline.chat(str(number))).text for number in range(4)] == ["0", "1", "2", "3"]
        stopping = asyncio.create_task(second.house.drain()) if hasattr(second.house, "drain") else None
        answers = [(await trunkline.chat(str(number))).text for number in range(20)]
        if stopping:
            await stopping
    assert answers == [str(number) for number in range(20)]


def test_every_reason_has_an_exception_of_its_code() -> None:
    for reason, code in CODES.items():
        kind = refusals._BY_REASON.get(reason.value, refusals._BY_CODE.get(code.name, errors.GatewayFault))
        assert issubclass(kind, refusals._BY_CODE.get(code.name, errors.GatewayFault))
    assert {reason.value for reason in Reason} >= set(refusals._BY_REASON)
    assert issubclass(LimitReached, TrunklineError)
    assert errors_pb2
