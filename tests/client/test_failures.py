"""What callers of the Python client are told when something goes wrong, and what they do not notice."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from tests.fixtures.gateway import RunningGateway, StartGateway
from trunkline import (
    AlreadyExists,
    AsyncTrunkline,
    Cancelled,
    CreditInsufficient,
    GatewayFault,
    InvalidRequest,
    LimitReached,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    NotPossible,
    StillRunning,
    StreamInterrupted,
    TimedOut,
    Trunkline,
    TrunklineError,
    Unavailable,
    refusals,
)
from trunkline.v1 import limits_pb2, limits_pb2_grpc
from trunkline_server.door.status import CODES

EXPECTED: Final[dict[str, type[TrunklineError]]] = {
    "INVALID_ARGUMENT": InvalidRequest,
    "OUT_OF_RANGE": InvalidRequest,
    "UNAUTHENTICATED": NotAuthenticated,
    "PERMISSION_DENIED": NotAllowed,
    "NOT_FOUND": NotFound,
    "ALREADY_EXISTS": AlreadyExists,
    "FAILED_PRECONDITION": NotPossible,
    "RESOURCE_EXHAUSTED": LimitReached,
    "ABORTED": StillRunning,
    "UNAVAILABLE": Unavailable,
    "DEADLINE_EXCEEDED": TimedOut,
    "CANCELLED": Cancelled,
}


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
    with pytest.raises(InvalidRequest) as raised:
        await trunkline.options("sandbox", script={"status": 400}).send("hello")

    assert raised.value.reason == "PROVIDER_REJECTED"
    assert raised.value.attempts[0].http_status == 400


async def test_a_limit_says_when_it_goes_on(trunkline: AsyncTrunkline) -> None:
    limits = limits_pb2_grpc.LimitServiceStub(trunkline.channel)
    limit = limits_pb2.RateLimit(
        name="one", unit=limits_pb2.LIMIT_UNIT_REQUESTS, amount=1, window=Duration(seconds=3600)
    )
    await limits.SetRateLimit(limits_pb2.SetRateLimitRequest(rate_limit=limit), metadata=trunkline.metadata)

    await trunkline.chat("one")
    with pytest.raises(LimitReached) as raised:
        await trunkline.chat("two")

    assert raised.value.reason == "RATE_LIMITED"
    assert raised.value.retry_after_s is not None
    assert 0 < raised.value.retry_after_s <= 3600


async def test_a_broken_stream_says_how_far_it_came(trunkline: AsyncTrunkline) -> None:
    stream, pieces = trunkline.model("sandbox/cut").stream("hello"), list[str]()

    async def read() -> None:
        async for piece in stream:
            pieces.append(piece)

    with pytest.raises(StreamInterrupted) as raised:
        await read()

    assert "".join(pieces) == "lorem ipsum dolor"
    assert raised.value.partial is not None
    assert raised.value.partial.charge.nanos > 0


async def test_no_credits(trunkline: AsyncTrunkline) -> None:
    with pytest.raises(CreditInsufficient):
        await trunkline.max_cost("0.000000001").send("hello")


async def test_time_is_over(trunkline: AsyncTrunkline) -> None:
    with pytest.raises(TimedOut):
        await trunkline.model("sandbox/slow").timeout(0.3).send("hello")


async def test_nobody_there() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        async with AsyncTrunkline(address, key="k") as nobody:
            with pytest.raises(Unavailable) as raised:
                await nobody.chat("hello")
        with Trunkline(address, key="k") as nobody_either, pytest.raises(Unavailable):
            nobody_either.chat("hello")
    assert (raised.value.reason, raised.value.code) == ("", "UNAVAILABLE")


async def test_a_name_makes_a_call_happen_once(trunkline: AsyncTrunkline) -> None:
    once = trunkline.user("u1").request_id("order-7")

    first, second = await once.send("hello"), await once.send("hello")

    assert first.completion == second.completion
    assert first.charge == 100 - await trunkline.credits.balance("u1")


async def test_a_replica_that_goes_is_not_noticed(start_gateway: StartGateway) -> None:
    first, second = await start_gateway(), await start_gateway()
    both = f"ipv4:{first.house.grpc_address},{second.house.grpc_address}"
    async with AsyncTrunkline(both, key=first.key) as trunkline:
        await asyncio.gather(*(trunkline.chat("before") for _ in range(4)))
        second.house.drain.ask()
        going = asyncio.create_task(second.house.until_gone())
        while not going.done():
            assert (await trunkline.chat("while it goes")).text == "while it goes"
        assert (await trunkline.chat("after")).text == "after"
        await going


async def test_a_job_is_waited_for_over_a_replica_that_goes(start_gateway: StartGateway) -> None:
    first, second = await start_gateway(), await start_gateway()
    async with AsyncTrunkline(second.house.grpc_address, key=first.key) as leaving:
        job = await leaving.options("sandbox", script={"text": "a b c", "pace_ms": 300}).submit("go")
    both = f"ipv4:{first.house.grpc_address},{second.house.grpc_address}"
    async with AsyncTrunkline(both, key=first.key) as trunkline:
        waiting = asyncio.create_task((await trunkline.jobs.get(job.job_id)).wait(timeout_s=50))
        second.house.drain.ask()
        await second.house.until_gone()

        assert (await waiting).answer.text == "a b c"


def test_every_reason_has_an_exception_of_its_code() -> None:
    for reason, code in CODES.items():
        packed = Any()
        packed.Pack(error_details_pb2.ErrorInfo(reason=reason.value))
        error = refusals.error_in(status_pb2.Status(code=code.value, details=[packed]))

        assert isinstance(error, EXPECTED.get(code.name, GatewayFault))
        assert (error.reason, error.code) == (reason.value, code.name)
