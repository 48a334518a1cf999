"""Two replicas are restarted one after the other under load, and no caller notices: with the published service config
no call fails, and every stream is whole, for each ends within the drain."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fixtures.postgres import postgres_server, postgres_url
from tests.fixtures.served import Serve, Served
from tests.fixtures.until import until
from trunkline import AsyncTrunkline, TrunklineError
from trunkline.aio.chat import AsyncChat

__all__ = ["postgres_server", "postgres_url"]

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(240)]

CALLERS, STREAMERS = 4, 3
WORDS = " ".join(map(str, range(40)))
PACE_MS = 50
"""A stream takes two seconds: longer than a replica that goes takes calls, shorter than it waits for them."""

LIMIT_S = 60.0


@dataclass
class Load:
    """Callers, and readers of streams, who begin again at once until they are told to stop."""

    trunkline: AsyncTrunkline
    whole: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def call(self) -> None:
        while not self.over.is_set():
            text = f"question number {next(self.numbers)}"
            await self._tried("call", text, self._answer(text))

    async def stream(self) -> None:
        while not self.over.is_set():
            await self._tried("stream", WORDS, self._said(WORDS))

    async def _tried(self, kind: str, expected: str, said: Awaitable[str]) -> None:
        try:
            assert await said == expected
        except (AssertionError, TrunklineError) as error:
            self.wrong.append(f"{kind}: {error!r}")
        else:
            self.whole[kind] += 1

    async def _answer(self, text: str) -> str:
        return (await self._paced.send(text)).text

    async def _said(self, text: str) -> str:
        return "".join([piece async for piece in self._paced.stream(text)])

    @property
    def _paced(self) -> AsyncChat:
        """Slow enough to leave the machine to the processes that start."""
        return self.trunkline.options("sandbox", script={"pace_ms": PACE_MS})


@asynccontextmanager
async def load(trunkline: AsyncTrunkline) -> AsyncIterator[Load]:
    running = Load(trunkline)
    async with asyncio.TaskGroup() as group:
        for work in (*[running.call] * CALLERS, *[running.stream] * STREAMERS):
            group.create_task(work())
        try:
            yield running
        finally:
            running.over.set()


class Replica:
    """One place in the address list, and the process that is there now."""

    def __init__(self, serve: Serve, home: Path, database_url: str) -> None:
        self._serve, self._home, self._database_url = serve, home, database_url
        self.address = "127.0.0.1:0"

    async def start(self) -> Served:
        self._served = await self._serve(
            self._home,
            TRUNKLINE_DATABASE_URL=self._database_url,
            TRUNKLINE_DATABASE__COMMAND_TIMEOUT_S="10",
            TRUNKLINE_DATABASE__ACQUIRE_TIMEOUT_S="10",
            TRUNKLINE_GRPC__ADDRESS=self.address,
            TRUNKLINE_GRPC__DRAIN_DELAY_S="1",
            TRUNKLINE_GRPC__DRAIN_GRACE_S="20",
        )
        await self._served.until_serving()
        self.address = self._served.address
        return self._served

    async def restart(self) -> None:
        """As an orchestrator does it, who goes on with the next one once this one has its share of calls again."""
        self._served.send(signal.SIGTERM)
        assert await self._served.gone() == 0, self._served.log
        await self.start()
        await self.until_called()

    async def until_called(self) -> None:
        await until(lambda: all(f"ChatService/{name}" in self._served.log for name in ("Complete", "Stream")), LIMIT_S)


async def test_a_rolling_restart_is_not_noticed(serve: Serve, tmp_path: Path, postgres_url: str) -> None:
    replicas = [Replica(serve, tmp_path / name, postgres_url) for name in ("first", "second")]
    key = (await replicas[0].start()).key
    await replicas[1].start()
    addresses = "ipv4:" + ",".join(each.address for each in replicas)
    async with AsyncTrunkline(addresses, key=key) as trunkline, load(trunkline) as running:
        for replica in replicas:
            await replica.until_called()
        for replica in replicas:
            await replica.restart()
    print(dict(running.whole))
    assert not running.wrong
