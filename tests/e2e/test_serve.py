"""`trunkline serve` as its users start it: the first start, the next one, signals, and a wrong setting."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.fixtures.gateway import question, text_of
from tests.fixtures.refusal import refusal
from tests.fixtures.served import Client, Serve, Served
from tests.fixtures.until import until
from trunkline.v1 import chat_pb2, credits_pb2
from trunkline_server.door.contract import Contract

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SERVING = health_pb2.HealthCheckResponse.SERVING
SERVICES = {method.name.split("/")[1] for method in Contract().methods()}


async def ask(client: Client, text: str = "hello") -> chat_pb2.Completion:
    asked = chat_pb2.CompleteRequest(input=question(text))
    return (await client.chat.Complete(asked, metadata=client.metadata, timeout=20)).completion


async def to_its_end(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def balance(client: Client) -> int:
    answer = await client.credits.GetBalance(credits_pb2.GetBalanceRequest(), metadata=client.metadata)
    return answer.account.balance.nanos


async def started(serve: Serve, **environment: str) -> Served:
    served = await serve(**environment)
    await served.until_serving()
    return served


async def stopped(served: Served) -> int:
    served.send(signal.SIGTERM)
    return await served.gone()


async def test_first_start_and_second(serve: Serve) -> None:
    first = await started(serve)
    await until(lambda: first.key in first.log)
    assert stat.S_IMODE((first.data_dir / "admin.key").stat().st_mode) == 0o600
    addresses = json.loads((first.data_dir / "addresses.json").read_text())
    assert addresses["grpc"].startswith("127.0.0.1:")
    async with first.client("ada") as client:
        assert text_of(await ask(client)) == "hello"
        left = await balance(client)
        assert 0 < left < 100 * 10**9
        stub = health_pb2_grpc.HealthStub(client.channel)
        for name in ("", "readiness", *SERVICES):
            assert (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status == SERVING, name
    assert await stopped(first) == 0
    assert not (first.data_dir / "addresses.json").exists(), "nobody serves there any more"

    second = await started(serve)
    assert "tl_live_" not in second.log
    async with second.client("ada") as client:
        assert await balance(client) == left
        assert (await ask(client)).charge.nanos > 0
    assert await stopped(second) == 0


async def test_an_address_left_behind_by_a_crash_is_not_believed(serve: Serve) -> None:
    first = await started(serve)
    await first.end()
    assert (first.data_dir / "addresses.json").exists()
    second = await serve()
    await second.until_serving(but=first.address)
    async with second.client() as client:
        await ask(client)


async def test_sigterm_lets_a_running_stream_end(serve: Serve) -> None:
    served = await started(serve)
    asked = question("one two three four five six seven eight")
    asked.provider_options_json["sandbox"] = '{"script": {"pace_ms": 100}}'
    async with served.client("ada") as client:
        call: Any = client.chat.Stream(chat_pb2.StreamRequest(input=asked), metadata=client.metadata)
        events = [(await call.read()).event]
        served.send(signal.SIGTERM)
        while (response := await call.read()) is not grpc.aio.EOF:
            events.append(response.event)
        assert events[-1].HasField("completed")
        assert await served.gone() == 0


async def test_a_second_sigterm_hurries(serve: Serve) -> None:
    served = await started(serve, TRUNKLINE_GRPC__DRAIN_DELAY_S="60", TRUNKLINE_GRPC__DRAIN_GRACE_S="60")
    asked = question("one two three")
    asked.provider_options_json["sandbox"] = '{"script": {"stall_after": 1}}'
    async with served.client("ada") as client:
        call: Any = client.chat.Stream(chat_pb2.StreamRequest(input=asked), metadata=client.metadata)
        await call.read()
        served.send(signal.SIGTERM)
        stub = health_pb2_grpc.HealthStub(client.channel)

        async def away() -> bool:
            return bool((await stub.Check(health_pb2.HealthCheckRequest(service="readiness"))).status != SERVING)

        await until(away)
        served.send(signal.SIGTERM)
        assert await refusal(to_its_end(call)) == ("UNAVAILABLE", "DRAINING", "")
    assert await served.gone() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_during_the_start_ends_it_cleanly(serve: Serve, number: signal.Signals) -> None:
    """And leaves a data directory with which the next start works."""
    served = await serve()
    await until((served.data_dir / "postgres").exists)
    served.send(number)
    assert await served.gone() == 0, served.log
    assert "Traceback" not in served.log
    again = await started(serve)
    async with again.client() as client:
        await ask(client)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"TRUNKLINE_GRPC__ADDRES": "127.0.0.1:0"}, "grpc.addres"),
        ({"TRUNKLINE_GRPC__HEARTBEAT_S": "soon"}, "grpc.heartbeat_s"),
        ({"TRUNKLINE_GRPC__ADDRESS": "300.0.0.1:1"}, "300.0.0.1:1"),
        ({"TRUNKLINE_DATA_DIR": "/dev/null/data"}, "/dev/null"),
        ({"TRUNKLINE_DATABASE_URL": "postgresql://ada:canary-word@127.0.0.1:1/x"}, "database"),
        ({"TRUNKLINE_DATABASE_URL": "postgresql://ada:canary-word@[bad/x"}, "database"),
        ({"TRUNKLINE_DATABASE_URL": "mysql://ada:canary-word@127.0.0.1/x"}, "database"),
    ],
    ids="key value address directory no-database no-url other-database".split(),  # noqa: SIM905 - names
)
async def test_what_keeps_it_from_starting_is_told_in_one_line(
    serve: Serve, environment: dict[str, str], named: str
) -> None:
    served = await serve(**environment)
    assert await served.gone() in (1, 2)
    told = served.log.strip().splitlines()[-1]
    assert told.startswith(("trunkline: ", "Error: ")), served.log
    assert named in told
    assert "Traceback" not in served.log
    assert "canary" not in served.log


async def test_an_address_in_use_is_told(serve: Serve, tmp_path: object) -> None:
    first = await started(serve)
    second = await serve(TRUNKLINE_GRPC__ADDRESS=first.address)
    assert await second.gone() == 1
    assert first.address in second.log
    assert "Traceback" not in second.log
    async with first.client() as client:
        await asyncio.gather(*(ask(client) for _ in range(3)))
