"""gRPC's health service, asked by gRPC's own stubs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.fixtures.refusal import Refusal, refusal, send
from trunkline_server.door.health import Health
from trunkline_server.door.http2.limits import Limits
from trunkline_server.door.http2.listener import Listener

UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
async def channel(health: Health) -> AsyncIterator[grpc.aio.Channel]:
    listener = Listener(health.rpcs(), Limits())
    port = await listener.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await listener.stop(0)


async def test_what_is_asked(health: Health, channel: grpc.aio.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    health.tell(("", "a"), serving=True)
    assert (await stub.Check(health_pb2.HealthCheckRequest())).status == SERVING
    assert await refusal(stub.Check(health_pb2.HealthCheckRequest(service="b"))) == Refusal("NOT_FOUND")
    health.stop()
    listed = (await stub.List(health_pb2.HealthListRequest())).statuses
    assert {name: each.status for name, each in listed.items()} == {"": NOT_SERVING, "a": NOT_SERVING}


@pytest.mark.parametrize("method", ["Check", "Watch"])
async def test_what_is_no_question(channel: grpc.aio.Channel, method: str) -> None:
    told = await refusal(send(channel, f"/grpc.health.v1.Health/{method}", b"\xff", ()))
    assert told == Refusal("INVALID_ARGUMENT")


async def test_who_watches_hears_of_changes_alone(health: Health, channel: grpc.aio.Channel) -> None:
    call = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="a"))
    async with asyncio.timeout(10):
        assert (await call.read()).status == UNKNOWN
        health.tell(["a"], serving=True)
        assert (await call.read()).status == SERVING
        health.tell(["a"], serving=True)
        health.tell(["b"], serving=True)
        health.stop()
        assert (await call.read()).status == NOT_SERVING
    call.cancel()
