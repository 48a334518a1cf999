"""More calls than can be served: refused soon, fairly, and never the probes."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.fixtures.gateway import RunningGateway, StartGateway, detail_of, question, reason_of
from trunkline.v1 import admin_pb2, chat_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.priority import Priority, at_most
from trunkline_server.door.pressure import WAIT_S, WAIT_S_MIN, Pressure, PressureSettings

FEW = PressureSettings(calls_min=2, calls_max=4, lag_s=0.05)
LATE, IN_TIME = 0.2, 0.0
ONE, OTHER = uuid4(), uuid4()


async def entered(
    pressure: Pressure, times: int, tenant_id: UUID = ONE, priority: Priority = Priority.INTERACTIVE
) -> int:
    """How many got in."""
    tries = await asyncio.gather(*(pressure.enter(tenant_id, priority) for _ in range(times)), return_exceptions=True)
    assert all(each is None or isinstance(each, TrunklineError) for each in tries)
    return tries.count(None)


def pressure(memory: float = 0.0) -> Pressure:
    return Pressure(FEW, lambda: memory)


async def test_takes_so_many_and_no_more() -> None:
    assert await entered(pressure(), 10) == 4


async def test_a_place_that_is_left_is_the_next_ones() -> None:
    house = pressure()
    await entered(house, 4)
    waiting = asyncio.create_task(house.enter(ONE))
    await asyncio.sleep(0)

    house.leave(ONE)

    await waiting


async def test_who_gives_up_waiting_takes_no_place() -> None:
    house = pressure()
    await entered(house, 4)
    waiting = asyncio.create_task(house.enter(ONE))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    for _ in range(4):
        house.leave(ONE)
    assert await entered(house, 10) == 4


async def test_the_later_the_loop_is_the_sooner_a_call_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told by the time that it asks for, not by the time that it takes."""
    asked_s: list[float] = []
    loop = asyncio.get_running_loop()
    real = asyncio.timeout_at

    def noted(when: float) -> asyncio.Timeout:
        asked_s.append(when - loop.time())
        return real(when)

    monkeypatch.setattr(asyncio, "timeout_at", noted)
    house = pressure()
    await entered(house, 5)
    house.observe(LATE)
    await entered(house, 1)
    assert asked_s[0] <= WAIT_S
    assert asked_s[1] <= WAIT_S_MIN


async def test_a_tenant_that_floods_leaves_room_for_another() -> None:
    house = pressure()
    await entered(house, 20, ONE)

    assert await entered(house, 1, OTHER) == 1


async def test_takes_fewer_while_the_loop_is_late_and_more_again_when_it_is_not() -> None:
    house = pressure()
    await entered(house, 4)

    for _ in range(10):
        house.observe(LATE)
    assert house.calls_max == FEW.calls_min
    for _ in range(10):
        house.observe(IN_TIME)
    assert house.calls_max == FEW.calls_max


async def test_takes_nobody_where_memory_runs_out() -> None:
    house = pressure(memory=0.97)
    house.observe(IN_TIME)

    with pytest.raises(TrunklineError) as error:
        await house.enter(ONE)
    assert error.value.reason is Reason.OVERLOADED


@pytest.mark.parametrize(
    ("priority", "places"),
    [(Priority.SHEDDABLE, 2), (Priority.BATCH, 4), (Priority.INTERACTIVE, 4), (Priority.CRITICAL, 5)],
)
async def test_what_is_less_urgent_finds_the_house_full_sooner(priority: Priority, places: int) -> None:
    assert await entered(pressure(), 10, priority=priority) == places


@pytest.mark.parametrize(("memory", "least"), [(0.8, Priority.SHEDDABLE), (0.9, Priority.INTERACTIVE)])
async def test_only_what_is_urgent_gets_in_where_memory_is_tight(memory: float, least: Priority) -> None:
    house = pressure(memory)
    house.observe(IN_TIME)

    told = {priority: await entered(house, 1, priority=priority) for priority in Priority}
    assert told == {priority: int(priority >= least) for priority in Priority}


async def knocking(house: Pressure, *priorities: Priority) -> list[asyncio.Task[None]]:
    """They wait at the door, in this order."""
    tasks = [asyncio.create_task(house.enter(ONE, priority)) for priority in priorities]
    await asyncio.sleep(0)
    return tasks


async def test_a_place_goes_to_the_most_urgent_of_those_who_wait() -> None:
    house = pressure()
    await entered(house, 5, priority=Priority.CRITICAL)
    usual, urgent = await knocking(house, Priority.INTERACTIVE, Priority.CRITICAL)

    house.leave(ONE)

    await urgent
    assert isinstance((await asyncio.gather(usual, return_exceptions=True))[0], TrunklineError)


async def test_at_a_full_door_the_most_urgent_takes_the_place_of_the_least_urgent() -> None:
    house = pressure()
    await entered(house, 5, priority=Priority.CRITICAL)
    waiting = await knocking(house, Priority.INTERACTIVE, Priority.BATCH, Priority.BATCH, Priority.CRITICAL)

    house.leave(ONE)

    tries = await asyncio.gather(*waiting, return_exceptions=True)
    assert tries[-1] is None
    assert all(isinstance(each, TrunklineError) for each in tries[:-1])
    for _ in range(5):
        house.leave(ONE)
    assert await entered(house, 10) == 4  # and nobody has a place who was sent away


async def test_nobody_waits_longer_than_their_own_time() -> None:
    house = pressure()
    await entered(house, 4)

    with pytest.raises(TrunklineError) as error:
        await house.enter(ONE, Priority.INTERACTIVE, asyncio.get_running_loop().time() - 1)
    assert error.value.reason is Reason.OVERLOADED


@pytest.fixture
async def full(start_gateway: StartGateway) -> RunningGateway:
    """A gateway that takes one call, and has it."""
    return await start_gateway(overload={"calls_min": 1, "calls_max": 1})


async def test_a_full_house_refuses_calls_and_answers_probes_and_operators(full: RunningGateway) -> None:
    request = chat_pb2.StreamRequest(input=question("word " * 100, "sandbox/slow"))
    running = full.chat.Stream(request, metadata=full.metadata())
    await running.read()

    with pytest.raises(grpc.aio.AioRpcError) as error:
        await full.chat.Complete(chat_pb2.CompleteRequest(input=question("Hi")), metadata=full.metadata())
    health = await health_pb2_grpc.HealthStub(full.channel).Check(health_pb2.HealthCheckRequest())
    await full.admin.GetInfo(admin_pb2.GetInfoRequest(), metadata=full.metadata())

    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    assert reason_of(error.value) == "OVERLOADED"
    assert detail_of(error.value, error_details_pb2.RetryInfo).retry_delay.ToTimedelta().total_seconds() < 2
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    running.cancel()


async def test_a_call_may_be_less_urgent_than_its_key_and_not_more(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(overload={"calls_min": 2, "calls_max": 2})
    made = admin_pb2.CreateApiKeyRequest(name="k", scopes=["chat:write"], priority=admin_pb2.PRIORITY_SHEDDABLE)
    patient = (await gateway.admin.CreateApiKey(made, metadata=gateway.metadata())).secret
    request = chat_pb2.StreamRequest(input=question("word " * 100, "sandbox/slow"))
    running = gateway.chat.Stream(request, metadata=gateway.metadata())
    await running.read()

    async def told(key: str = "", **more: str) -> str:
        metadata = gateway.metadata("", key, **more)
        try:
            await gateway.chat.Complete(chat_pb2.CompleteRequest(input=question("Hi")), metadata=metadata)
        except grpc.aio.AioRpcError as error:
            return reason_of(error)
        return "OK"

    assert await told() == "OK"
    assert await told(x_trunkline_priority="sheddable") == "OVERLOADED"
    assert await told(x_trunkline_priority="now") == "VALIDATION"
    assert await told(patient) == await told(patient, x_trunkline_priority="critical") == "OVERLOADED"
    running.cancel()


def test_no_more_than_the_key_has() -> None:
    assert at_most(Priority.BATCH, "critical") is Priority.BATCH
    assert at_most(Priority.CRITICAL, "sheddable") is Priority.SHEDDABLE
    assert at_most(Priority.CRITICAL, "") is Priority.CRITICAL
