"""Long work at a provider, over a real socket: submitted once, whatever happens to those who wait for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from tests.fixtures.gateway import RunningGateway, StartGateway
from tests.fixtures.jobs import create, spec
from tests.fixtures.until import until
from tests.fixtures.upstream import RESET, Upstream
from trunkline.v1 import chat_pb2
from trunkline_server.core import ids
from trunkline_server.core.errors import TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.gateway.jobs.long_work import LongWork
from trunkline_server.store.jobs import NOBODY, Caps
from trunkline_server.store.operations import Operations
from trunkline_server.wire.craft import Pending


@dataclass
class FakeRemote:
    """Speaks just enough HTTP to the scripted provider."""

    upstream: Upstream
    poll_s: float = 0.0

    async def submit(self) -> str:
        return json.dumps(await self._ask("POST", "/submit"))

    async def poll(self, operation: str) -> Pending | str:
        told = await self._ask("GET", f"/poll/{json.loads(operation)['id']}")
        if "failed" in told:
            raise UpstreamFailure(FailureKind.TRANSIENT, is_final=True)
        return told["result"] if "result" in told else Pending(told["percent"])

    async def abandon(self, operation: str) -> None:
        await self._ask("POST", f"/cancel/{json.loads(operation)['id']}")

    async def _ask(self, method: str, path: str) -> dict[str, Any]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream.port)
        try:
            head = f"{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            writer.write(head.encode())
            head_bytes = await reader.readuntil(b"\r\n\r\n")
            length = int(head_bytes.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            answer: dict[str, Any] = json.loads(await reader.readexactly(length))
        except (OSError, asyncio.IncompleteReadError):
            raise UpstreamFailure(FailureKind.AMBIGUOUS) from None
        finally:
            writer.close()
        if " 429 " in head_bytes.decode():
            raise UpstreamFailure(FailureKind.THROTTLED)
        return answer


@dataclass
class FakeBench:
    job_id: UUID
    lease_token: int
    streams: bool = False
    is_unwanted: bool = False
    told: list[float] = field(default_factory=list)
    idle = nullcontext

    async def progress(self, fraction: float, message: str) -> None:
        self.told.append(fraction)

    async def keep(self, events: Sequence[chat_pb2.ChatEvent]) -> None:
        raise AssertionError("nothing is streamed")


@dataclass
class Desk:
    """A claimed job, and a provider to give it to."""

    gateway: RunningGateway
    upstream: Upstream
    bench: FakeBench

    async def do(self) -> str:
        """One attempt, and its result."""
        operations = Operations(self.gateway.house.background.database)
        return await LongWork(operations, self.bench).do(FakeRemote(self.upstream))

    @property
    def asked(self) -> list[str]:
        return [each.path for each in self.upstream.requests]


@pytest.fixture
async def desk(start_gateway: StartGateway) -> AsyncIterator[Desk]:
    gateway = await start_gateway(jobs={"worker": "false"})
    made = await create(gateway, spec())
    [claimed] = await gateway.house.background.jobs.claim("default", NOBODY, 1, 30, Caps())
    assert ids.spell("job", claimed.id) == made.job_id
    async with Upstream() as upstream:
        yield Desk(gateway, upstream, FakeBench(claimed.id, claimed.lease_token))


async def test_it_is_submitted_and_polled(desk: Desk) -> None:
    desk.upstream.reply(json={"id": "op1"})
    desk.upstream.reply(json={"percent": 50})
    desk.upstream.reply(json={"result": "film"})
    assert await desk.do() == "film"
    assert desk.asked == ["/submit", "/poll/op1", "/poll/op1"]
    assert desk.bench.told == [0.5]


async def test_after_a_crash_it_is_polled_on_and_not_submitted_again(desk: Desk) -> None:
    desk.upstream.reply(json={"id": "op1"})
    desk.upstream.raw(RESET)
    with pytest.raises(UpstreamFailure):
        await desk.do()
    desk.upstream.reply(json={"result": "film"})
    assert await desk.do() == "film"
    assert desk.asked.count("/submit") == 1


async def test_a_submission_without_an_answer_is_not_made_again(desk: Desk) -> None:
    desk.upstream.raw(RESET)
    with pytest.raises(UpstreamFailure):
        await desk.do()
    with pytest.raises(TrunklineError, match="not begun a second time"):
        await desk.do()
    assert desk.asked == ["/submit"]


async def test_one_that_was_turned_away_is_submitted_later(desk: Desk) -> None:
    desk.upstream.reply(status=429, json={})
    with pytest.raises(UpstreamFailure):
        await desk.do()
    desk.upstream.reply(json={"id": "op1"})
    desk.upstream.reply(json={"result": "film"})
    assert await desk.do() == "film"


async def test_without_the_lease_nothing_is_submitted(desk: Desk) -> None:
    desk.bench.lease_token += 1
    with pytest.raises(TrunklineError):
        await desk.do()
    assert desk.asked == []


async def test_one_that_failed_at_the_provider_may_be_begun_anew(desk: Desk) -> None:
    desk.upstream.reply(json={"id": "op1"})
    desk.upstream.reply(json={"failed": True})
    with pytest.raises(UpstreamFailure):
        await desk.do()
    desk.upstream.reply(json={"id": "op2"})
    desk.upstream.reply(json={"result": "film"})
    assert await desk.do() == "film"
    assert desk.asked == ["/submit", "/poll/op1", "/submit", "/poll/op2"]


@pytest.mark.parametrize("is_unwanted", [True, False])
async def test_only_a_job_that_nobody_wants_is_stopped_at_the_provider(desk: Desk, is_unwanted: bool) -> None:
    desk.upstream.reply(json={"id": "op1"})
    polled = desk.upstream.hang()
    work = asyncio.create_task(desk.do())
    await polled.asked()
    desk.upstream.reply(json={"result": "film"})
    desk.bench.is_unwanted = is_unwanted
    work.cancel()
    await asyncio.wait((work,))
    if is_unwanted:
        await until(lambda: desk.asked[-1] == "/cancel/op1")
    else:
        assert await desk.do() == "film"
        assert desk.asked[-1] == "/poll/op1"
