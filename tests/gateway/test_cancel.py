"""How calls end before their time: their callers leave, stop them or stop reading, or the gateway goes away."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.fixtures.books import Books
from tests.fixtures.desk import USER, Desk
from tests.fixtures.gateway import RunningGateway, StartGateway, detail_of
from tests.fixtures.refusal import Refusal, refusal, refusal_of
from tests.fixtures.streams import OPENAI, desk, pausing, read_words, rest
from tests.fixtures.until import until
from tests.fixtures.upstream import Answer, Upstream
from trunkline.v1 import admin_pb2, chat_pb2, credits_pb2, errors_pb2, usage_pb2
from trunkline_server.door import pulse

__all__ = ["desk"]

CANCELLED = Refusal("CANCELLED", "CANCELLED")
DRAINING = Refusal("UNAVAILABLE", "DRAINING")
LOCK_ACCOUNTS = "SELECT 1 FROM account FOR UPDATE"


# Cancelling.


async def settled(desk: Desk) -> dict[str, Any]:
    """The one row of usage, once it is there."""

    async def written() -> bool:
        return len(await desk.books.usage()) == 1

    await until(written)
    return (await desk.books.usage())[0]


@pytest.mark.parametrize("words", [1, 2, 5])
async def test_a_caller_who_leaves_stops_the_provider_and_pays_what_was_said(desk: Desk, words: int) -> None:
    answer = pausing(desk, words)
    call = desk.stream()
    await read_words(call, words)
    left = time.monotonic()
    call.cancel()
    seen_s = await answer.client_left() - left
    print(f"the provider saw the end after {1000 * seen_s:.1f} ms")
    assert seen_s < 1
    row = await settled(desk)
    assert (row["outcome"], row["output_tokens"]) == ("OUTCOME_CANCELLED", words + 1)
    assert await desk.books.charges() == [row["charge_nanos"]]


async def test_a_caller_who_leaves_before_the_first_word_pays_the_question(desk: Desk) -> None:
    answer = pausing(desk, 0)
    call = desk.stream()
    await answer.asked()
    call.cancel()
    await answer.client_left()
    row = await settled(desk)
    (hold,) = await desk.books.holds()
    assert 0 < row["charge_nanos"] < hold["amount"]
    assert row["output_tokens"] == 1


async def test_a_unary_call_that_is_left_stops_the_provider_too(desk: Desk) -> None:
    answer = desk.upstream.hang()
    call = asyncio.ensure_future(desk.complete())
    await answer.asked()
    left = time.monotonic()
    call.cancel()
    assert await answer.client_left() - left < 1
    assert (await settled(desk))["outcome"] == "OUTCOME_CANCELLED"


async def cancel(gateway: RunningGateway, completion_id: str, **metadata: str) -> Refusal:
    asked = chat_pb2.CancelCompletionRequest(completion_id=completion_id)
    return await refusal(gateway.chat.CancelCompletion(asked, metadata=gateway.metadata(**metadata)))


async def test_a_stream_is_stopped_from_another_connection(desk: Desk) -> None:
    answer = pausing(desk, 2)
    call = desk.stream()
    said = await read_words(call, 2)
    completion_id = said.events[0].started.completion_id
    async with grpc.aio.insecure_channel(desk.gateway.house.grpc_address) as channel:
        other = RunningGateway(desk.gateway.house, channel, desk.gateway.key)
        assert await cancel(other, completion_id) == Refusal("OK")
    await assert_stopped(call, answer, completion_id)
    assert await cancel(desk.gateway, completion_id) == ("NOT_FOUND", "RESOURCE_NOT_FOUND", "")


async def test_a_stream_is_stopped_from_another_replica(desk: Desk, start_gateway: StartGateway) -> None:
    other = await start_gateway()
    answer = pausing(desk, 2)
    call = desk.stream()
    said = await read_words(call, 2)
    completion_id = said.events[0].started.completion_id
    asked = time.monotonic()
    assert await cancel(other, completion_id) == Refusal("OK")
    print(f"stopped across replicas after {1000 * (await answer.client_left() - asked):.1f} ms")
    await assert_stopped(call, answer, completion_id)


async def assert_stopped(call: Any, answer: Answer, completion_id: str) -> None:
    said = await rest(call)
    await answer.client_left()
    assert said.error is not None
    assert refusal_of(said.error) == CANCELLED
    partial = detail_of(said.error, errors_pb2.PartialResult)
    assert (partial.completion_id, partial.charge.nanos > 0) == (completion_id, True)


async def test_a_unary_call_is_stopped_by_its_id(desk: Desk) -> None:
    answer = desk.upstream.hang()
    call = asyncio.ensure_future(desk.failed())
    await answer.asked()
    (hold,) = await desk.books.holds()
    assert await cancel(desk.gateway, f"cmpl_{hold['id'].hex}") == Refusal("OK")
    assert refusal_of(await call) == CANCELLED


async def test_another_tenant_cannot_stop_it(desk: Desk) -> None:
    admin, metadata = desk.gateway.admin, desk.gateway.metadata()
    tenant = (await admin.CreateTenant(admin_pb2.CreateTenantRequest(name="acme"), metadata=metadata)).tenant
    asked = admin_pb2.CreateApiKeyRequest(name="key", scopes=["*"], tenant_id=tenant.tenant_id)
    key = (await admin.CreateApiKey(asked, metadata=metadata)).secret
    answer = pausing(desk, 1)
    call = desk.stream()
    said = await read_words(call, 1)
    completion_id = said.events[0].started.completion_id
    assert await cancel(desk.gateway, completion_id, key=key) == ("NOT_FOUND", "RESOURCE_NOT_FOUND", "")
    assert answer.client_is_there
    assert await cancel(desk.gateway, completion_id) == Refusal("OK")
    await rest(call)


async def test_what_is_no_running_completion_is_not_stopped(desk: Desk) -> None:
    for name in ("cmpl_" + "0" * 32, "cmpl_x", "resv_" + "0" * 32, "x"):
        assert await cancel(desk.gateway, name) == ("NOT_FOUND", "RESOURCE_NOT_FOUND", "")
    asked = credits_pb2.ReserveRequest(amount=usage_pb2.Amount(unit="CREDIT", nanos=1), request_id="r")
    reserved = await desk.gateway.credits.Reserve(asked, metadata=desk.gateway.metadata(USER))
    reservation_id = reserved.reservation.reservation_id
    spelled = reservation_id.replace("resv_", "cmpl_")
    assert await cancel(desk.gateway, spelled) == ("NOT_FOUND", "RESOURCE_NOT_FOUND", "")
    given_back = credits_pb2.ReleaseRequest(reservation_id=reservation_id)
    await desk.gateway.credits.Release(given_back, metadata=desk.gateway.metadata(USER))


async def test_a_stop_that_comes_while_the_bill_is_written_still_ends_the_call(desk: Desk) -> None:
    """The answer was whole by then, so either end is right; a call without any end is not."""
    go = asyncio.Event()
    pausing(desk, 1, go, OPENAI.ending(1))
    call = desk.stream(timeout=10)
    said = await read_words(call, 1)
    async with desk.books.database.transaction() as connection:
        await connection.execute(LOCK_ACCOUNTS)
        go.set()
        while not said.events[-1].HasField("candidate_completed"):
            said.events.append((await call.read()).event)
        assert await cancel(desk.gateway, said.events[0].started.completion_id) == Refusal("OK")
    ended = await rest(call)
    assert ended.error is None or refusal_of(ended.error) == CANCELLED
    assert (await settled(desk))["charge_nanos"] == desk.charge(1)


# Readers who are slow.


async def test_a_reader_who_stops_holds_the_provider_back_and_is_let_go(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "STUCK_AFTER_S", 0.3)
    answer = desk.upstream.stream([OPENAI.opening(), *([OPENAI.delta("x" * 100_000)] * 400)])
    call = desk.stream(timeout=20)
    await call.read()
    await answer.client_left()
    with pytest.raises(TimeoutError):
        await answer.sent(within_s=0)
    said = await rest(call)
    assert said.error is not None
    assert refusal_of(said.error) == CANCELLED
    assert (await settled(desk))["outcome"] == "OUTCOME_CANCELLED"


# Going away.


async def test_a_stream_that_is_still_running_at_the_end_of_the_grace_is_told_why_it_ends(desk: Desk) -> None:
    answer = pausing(desk, 2)
    call = desk.stream()
    await read_words(call, 2)
    desk.gateway.house.drain.ask()
    leaving = asyncio.ensure_future(desk.gateway.house.until_gone())
    said = await rest(call)
    assert said.error is not None
    assert refusal_of(said.error) == DRAINING
    assert detail_of(said.error, error_details_pb2.RetryInfo).retry_delay.ToTimedelta().total_seconds() > 0
    assert detail_of(said.error, errors_pb2.PartialResult).charge.nanos > 0
    await asyncio.gather(leaving, answer.client_left())


async def test_a_stream_that_ends_within_the_grace_ends_well(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = await start_gateway(
        OPENAI.environment(upstream.url), grpc={"drain_delay_s": "0.2", "drain_grace_s": "10"}
    )
    desk, go = Desk(gateway, upstream, books, OPENAI), asyncio.Event()
    pausing(desk, 1, go, OPENAI.ending(1))
    call = desk.stream()
    await read_words(call, 1)
    gateway.house.drain.ask()
    leaving = asyncio.ensure_future(gateway.house.until_gone())
    await until(lambda: health(gateway, "readiness", health_pb2.HealthCheckResponse.NOT_SERVING))
    upstream.stream(OPENAI.stream("new"))
    assert (await desk.listen()).text == "new", "while load balancers learn of it, new calls are served"
    go.set()
    assert (await rest(call)).completed.outcome == chat_pb2.OUTCOME_COMPLETED
    await leaving


async def health(gateway: RunningGateway, service: str, status: int) -> bool:
    stub = health_pb2_grpc.HealthStub(gateway.channel)
    return bool((await stub.Check(health_pb2.HealthCheckRequest(service=service))).status == status)


async def test_many_questions_are_cut_off_one_by_one(desk: Desk) -> None:
    """Each is told so as its own result, and the call itself ends well."""
    hanging = [desk.upstream.hang() for _ in range(3)]
    asked = chat_pb2.CompleteManyRequest(inputs=[desk.question()] * 3)
    call = desk.gateway.chat.CompleteMany(asked, metadata=desk.gateway.metadata(USER))
    await asyncio.gather(*(answer.asked() for answer in hanging))
    desk.gateway.house.drain.ask()
    leaving = asyncio.ensure_future(desk.gateway.house.until_gone())
    answer = await call
    assert [result.error.code for result in answer.results] == [grpc.StatusCode.UNAVAILABLE.value[0]] * 3
    await leaving
