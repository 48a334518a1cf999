"""GetSystemHealth over a socket: what a replica tells of itself, and what it finds wrong."""

from __future__ import annotations

import pytest

from tests.fixtures.dialects import DIALECTS
from tests.fixtures.gateway import RunningGateway, StartGateway, question
from tests.fixtures.refusal import Refusal, refusal
from tests.fixtures.upstream import Upstream
from trunkline.v1 import admin_pb2, chat_pb2, providers_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.house import services
from trunkline_server.store.database import Database


async def health(gateway: RunningGateway) -> admin_pb2.SystemHealth:
    request = admin_pb2.GetSystemHealthRequest()
    return (await gateway.admin.GetSystemHealth(request, metadata=gateway.metadata())).health


async def test_all_is_well(gateway: RunningGateway) -> None:
    told = await health(gateway)
    assert (told.status, list(told.problems)) == (admin_pb2.SYSTEM_STATUS_OK, [])
    assert told.uptime.ToNanoseconds() > 0
    assert told.cpu_time.ToNanoseconds() > 0
    assert told.resident_memory_bytes > 10**7
    assert told.cpu_count >= 1
    assert 0 < told.disk_free_bytes <= told.disk_size_bytes
    database = told.database
    assert (database.ok, database.embedded) == (True, False)
    assert 0 <= database.idle_connection_count <= database.connection_count <= database.max_connection_count
    assert (await health(gateway)).cpu_load > 0


async def test_connections_to_providers_are_told_once_there_are_any(start_gateway: StartGateway) -> None:
    dialect = DIALECTS[0]
    async with Upstream() as upstream:
        upstream.respond(lambda _: upstream.whole(json=dialect.whole("yes", 1)))
        gateway = await start_gateway(dialect.environment(upstream.url))
        assert not (await health(gateway)).provider_pools
        for _ in range(4):
            request = chat_pb2.CompleteRequest(input=question("Hi", dialect.name))
            await gateway.chat.Complete(request, metadata=gateway.metadata())
        [pool] = (await health(gateway)).provider_pools
        assert (pool.provider, pool.in_use_count, pool.idle_count) == ("openai", 0, 1)
        assert (pool.exchange_count, pool.reused_share) == (4, 0.75)
        assert pool.max_count > 1


async def test_open_breakers_are_told(gateway: RunningGateway) -> None:
    request = providers_pb2.OpenBreakerRequest(name="sandbox/echo")
    await gateway.providers.OpenBreaker(request, metadata=gateway.metadata())
    told = await health(gateway)
    assert (told.status, list(told.problems)) == (
        admin_pb2.SYSTEM_STATUS_DEGRADED,
        [admin_pb2.SYSTEM_PROBLEM_BREAKERS],
    )
    assert [breaker.name for breaker in told.breakers] == ["sandbox/echo"]


async def test_a_database_that_does_not_answer_is_told(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(_database: Database) -> float:
        raise TrunklineError(Reason.STORE_UNAVAILABLE, "the store does not answer, try again")

    monkeypatch.setattr(Database, "round_trip_s", silent)
    told = await health(gateway)
    assert list(told.problems) == [admin_pb2.SYSTEM_PROBLEM_DATABASE]
    assert not told.database.ok
    assert not told.database.HasField("round_trip")


@pytest.mark.parametrize(
    ("threshold", "problem"),
    [
        ({"disk_free_min": 1.0}, admin_pb2.SYSTEM_PROBLEM_DISK),
        ({"memory_max": 1e-9}, admin_pb2.SYSTEM_PROBLEM_MEMORY),
    ],
)
async def test_thresholds_are_settings(
    start_gateway: StartGateway,
    monkeypatch: pytest.MonkeyPatch,
    threshold: dict[str, float],
    problem: admin_pb2.SystemProblem.ValueType,
) -> None:
    monkeypatch.setattr(services, "memory_share", lambda: 0.5)
    assert list((await health(await start_gateway(health=threshold))).problems) == [problem]


async def test_not_everybody_may_know(gateway: RunningGateway) -> None:
    request = admin_pb2.CreateApiKeyRequest(name="chat", scopes=["chat:*"])
    made = await gateway.admin.CreateApiKey(request, metadata=gateway.metadata())
    metadata = gateway.metadata(key=made.secret)
    asking = gateway.admin.GetSystemHealth(admin_pb2.GetSystemHealthRequest(), metadata=metadata)
    assert await refusal(asking) == Refusal("PERMISSION_DENIED", "SCOPE_MISSING")
