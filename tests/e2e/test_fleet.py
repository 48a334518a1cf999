"""`trunkline serve --processes`: one address, one end, and nobody missed when one of them crashes."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

from tests.fixtures.gateway import question, text_of
from tests.fixtures.served import Client, Serve, Served
from tests.fixtures.until import until
from trunkline.v1 import admin_pb2, admin_pb2_grpc, chat_pb2

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

COMMAND = ("serve", "--processes", "3", "--no-worker")
ALONE = (("grpc.use_local_subchannel_pool", 1),)
"""A connection of its own."""


def crew(served: Served) -> set[int]:
    """The gateways among the children of the supervisor."""
    pid = served.process.pid
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    with suppress(FileNotFoundError):  # one that just ended
        return {int(each) for each in found if b"--supervisor" in Path(f"/proc/{each}/cmdline").read_bytes()}
    return set()


def lives(pids: set[int]) -> bool:
    return any(Path(f"/proc/{pid}").exists() for pid in pids)


def serving(served: Served) -> int:
    return served.log.count("trunkline serves")


async def started(serve: Serve, **environment: str) -> Served:
    served = await serve(command=COMMAND, **environment)
    await served.until_serving()
    await until(lambda: serving(served) == 3, 45)
    return served


async def ask(served: Served) -> str:
    async with grpc.aio.insecure_channel(served.address, options=ALONE) as channel:
        client = Client(channel, served.key, "ada")
        asked = chat_pb2.CompleteRequest(input=question("hello"))
        answer = await client.chat.Complete(asked, metadata=client.metadata, timeout=20, wait_for_ready=True)
    return text_of(answer.completion)


async def test_each_knows_that_its_database_came_along(serve: Serve) -> None:
    served = await started(serve)
    async with grpc.aio.insecure_channel(served.address, options=ALONE) as channel:
        client = Client(channel, served.key, "ada")
        request = admin_pb2.GetInfoRequest()
        info = await admin_pb2_grpc.AdminServiceStub(channel).GetInfo(request, metadata=client.metadata, timeout=20)
    assert (info.database_ok, info.database_embedded) == (True, True)


async def test_a_crash_of_one_is_made_good(serve: Serve) -> None:
    served = await started(serve)
    before = crew(served)
    assert len(before) == 3
    assert served.log.count("admin key") == 1
    assert set(await asyncio.gather(*(ask(served) for _ in range(24)))) == {"hello"}
    lost = min(before)
    os.kill(lost, signal.SIGKILL)
    await until(lambda: serving(served) == 4, 45)
    assert len(crew(served) - before) == 1
    assert set(await asyncio.gather(*(ask(served) for _ in range(24)))) == {"hello"}
    served.send(signal.SIGTERM)
    assert await served.gone() == 0


async def test_all_are_drained_together(serve: Serve) -> None:
    served = await started(serve, TRUNKLINE_GRPC__DRAIN_GRACE_S="20")
    async with served.client("ada") as client:
        asked = chat_pb2.StreamRequest(input=question("one two three four five", "sandbox/slow"))
        stream = client.chat.Stream(asked, metadata=client.metadata, timeout=30)
        ended, pids = "", crew(served)
        async for answer in stream:
            if not ended:
                served.send(signal.SIGTERM)
            ended = answer.event.WhichOneof("event") or "nothing"
    assert ended == "completed"
    assert await served.gone() == 0
    assert not lives(pids)


async def test_they_do_not_outlive_their_supervisor(serve: Serve) -> None:
    served = await started(serve)
    pids = crew(served)
    served.send(signal.SIGKILL)
    await served.gone()
    await until(lambda: not lives(pids), 30)


async def test_a_wrong_setting_ends_them_all(serve: Serve) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    served = await serve(command=COMMAND, TRUNKLINE_DATABASE_URL=nowhere)
    assert await served.gone() == 1
