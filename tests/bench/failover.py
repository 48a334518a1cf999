"""`make bench-failover`: what callers notice when providers fail, on this machine, and whether it is what is promised.

A gateway as its users start it, with three scripted providers in this process, one behind the other.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from pathlib import Path
from typing import Final, TypeAlias

import grpc

from tests.bench.gateway import serving
from tests.bench.load import question
from tests.bench.processes import Cores
from tests.fixtures.dialects import DIALECTS
from tests.fixtures.fleet import CHAIN, Ship
from tests.fixtures.upstream import RESET, Answer, Received, Step, Upstream
from trunkline.v1 import chat_pb2, chat_pb2_grpc, providers_pb2, providers_pb2_grpc

Streaming: TypeAlias = grpc.aio.UnaryStreamCall[chat_pb2.StreamRequest, chat_pb2.StreamResponse]

TIME_S: Final = 300.0
SICK_CALLS: Final = 2000
DOWN_CALLS: Final = 2000
SILENT_CALLS: Final = 500
SILENT_DEADLINE_S: Final = 3.0
REFUSALS: Final = 300
LEAVERS: Final = 200
AT_ONCE: Final = 32
SICK_SHARE: Final = 0.3
DEADLINE_S: Final = 10.0
OPEN_S: Final = 2.0
JITTER: Final = 0.1
BUSY_MS: Final = 20.0
"""Callers and providers share the machine with the gateway."""
OPENS_MAX: Final = 3
"""A breaker whose probes failed stays open longer, each time by its first length."""
POLL_S: Final = 0.02
OK: Final = "OK"


@dataclass(frozen=True)
class Figure:
    """One figure and what was promised."""

    name: str
    value: float
    goal: float
    unit: str = ""
    at_least: bool = False

    @property
    def is_reached(self) -> bool:
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        missed = "" if self.is_reached else "   MISSED"
        return f"{self.name:<58} {self.value:>9.4g} {self.unit:<3} {sign} {self.goal:g}{missed}"


@dataclass
class Town:
    """The gateway, its providers, and those who call."""

    chat: chat_pb2_grpc.ChatServiceAsyncStub
    providers: providers_pb2_grpc.ProviderServiceAsyncStub
    metadata: tuple[tuple[str, str], ...]
    ships: list[Ship]
    took_s: list[float] = field(default_factory=list)

    @property
    def asked(self) -> int:
        return sum(ship.asked for ship in self.ships)

    async def forget(self) -> None:
        """Nothing is held against any provider."""
        for ship in self.ships:
            ship.well()
            for name in (ship.dialect.provider, ship.dialect.name):
                request = providers_pb2.OpenBreakerRequest(name=name)  # there may be none yet
                await self.providers.OpenBreaker(request, metadata=self.metadata)
                await self.providers.ResetBreaker(providers_pb2.ResetBreakerRequest(name=name), metadata=self.metadata)

    async def complete(self, within_s: float = DEADLINE_S) -> str:
        request = chat_pb2.CompleteRequest(input=self.question())
        return await self._ended(self.chat.Complete(request, metadata=self.metadata, timeout=within_s))

    async def listen(self) -> str:
        stream = self.streaming()
        return await self._ended(self._heard(stream))

    def streaming(self) -> Streaming:
        request = chat_pb2.StreamRequest(input=self.question())
        return self.chat.Stream(request, metadata=self.metadata, timeout=DEADLINE_S)

    @staticmethod
    def question() -> chat_pb2.ChatInput:
        return question("short")

    @staticmethod
    async def _heard(stream: Streaming) -> None:
        async for _ in stream:
            pass

    async def _ended(self, call: Awaitable[object]) -> str:
        """How a call ended, by its code."""
        began = time.perf_counter()
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
        finally:
            self.took_s.append(time.perf_counter() - began)
        return OK


@asynccontextmanager
async def town(home: Path) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        ships = [Ship(dialect, await stack.enter_async_context(Upstream())) for dialect in DIALECTS]
        settings = {
            "TRUNKLINE_ROUTING__CHAINS": json.dumps({CHAIN[0]: CHAIN[1:]}),
            "TRUNKLINE_BREAKERS__OPEN_S": str(OPEN_S),
        }
        for ship in ships:
            ship.well()
            settings |= ship.dialect.environment(ship.upstream.url)
        running = serving(home, ships[0].upstream.url, Cores.here(), environment=settings)
        gateway = await stack.enter_async_context(running)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(gateway.address))
        metadata = (("authorization", f"Bearer {gateway.key}"), ("x-trunkline-user", "bench"))
        providers = providers_pb2_grpc.ProviderServiceStub(channel)
        yield Town(chat_pb2_grpc.ChatServiceStub(channel), providers, metadata, ships)


async def together(count: int, at_once: int, work: Callable[[], Awaitable[str]]) -> Counter[str]:
    """Have it done so often, and count what came of it."""
    left, ends = iter(range(count)), Counter[str]()

    async def worker() -> None:
        for _ in left:
            ends[await work()] += 1

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return ends


def silence(_: Received) -> Answer:
    """An answer that does not come."""
    return Answer([asyncio.Event()])


def sick(ship: Ship, seed: int = 1) -> None:
    """Of its calls a share fails: with 500, with 429, with a reset, or in silence."""
    lots, well = random.Random(seed), ship.answer

    def answer(asked: Received) -> Answer:
        whole = ship.upstream.whole
        ways = (whole(status=500), whole(status=429), Answer([RESET], keep_alive=False), silence(asked))
        return lots.choice(ways) if lots.random() < SICK_SHARE else well(asked)

    ship.upstream.respond(answer)


async def one_is_sick(town: Town) -> list[Figure]:
    sick(town.ships[0])
    unary = await together(SICK_CALLS, AT_ONCE, town.complete)
    streams = await together(SICK_CALLS, AT_ONCE, town.listen)
    town.ships[0].well()
    return [
        Figure("primary fails 30 %: unary calls that succeed", unary[OK] / SICK_CALLS, 0.999, "", at_least=True),
        Figure("primary fails 30 %: streams that succeed", streams[OK] / SICK_CALLS, 0.999, "", at_least=True),
    ]


async def all_are_down(town: Town) -> list[Figure]:
    for ship in town.ships:
        ship.down()
    before = town.asked
    await together(DOWN_CALLS, AT_ONCE, town.complete)
    amplification = (town.asked - before) / DOWN_CALLS
    town.took_s.clear()
    await together(REFUSALS, 1, town.complete)
    took_ms = sorted(each * 1000 for each in town.took_s)
    for ship in town.ships:
        ship.well()
    began = time.perf_counter()
    while await town.complete() != OK:  # noqa: ASYNC110 - only a call can tell
        await asyncio.sleep(POLL_S)
    back_s = time.perf_counter() - began
    return [
        Figure("all down: upstream attempts for each call", amplification, 1.25),
        Figure("all down: time to a refusal, median", took_ms[len(took_ms) // 2], 5.0, "ms"),
        Figure("all down: time to a refusal, 95th percentile", percentile(took_ms, 0.95), BUSY_MS, "ms"),
        Figure("well again: time to the first answer", back_s, OPEN_S * (1 + JITTER) * OPENS_MAX, "s"),
    ]


async def all_are_silent(town: Town) -> list[Figure]:
    """The worst kind of outage: each attempt takes all the time that it is given."""
    for ship in town.ships:
        ship.upstream.respond(silence)
    before = town.asked
    await together(SILENT_CALLS, AT_ONCE, partial(town.complete, SILENT_DEADLINE_S))
    return [Figure("all silent: upstream attempts for each call", (town.asked - before) / SILENT_CALLS, 1.25)]


async def callers_leave(town: Town, *, opening: bool) -> Figure:
    """While the first word is waited for, or in the middle of the answer."""
    ship, waiting = town.ships[0], asyncio.Queue[Answer]()

    def answer(_: Received) -> Answer:
        silent = asyncio.Event()
        dialect = ship.dialect
        begun: list[Step] = [dialect.opening(), dialect.delta("Once"), silent]
        made = Answer([silent]) if opening else ship.upstream.streamed(begun)
        waiting.put_nowait(made)
        return made

    ship.upstream.respond(answer)
    took_ms: list[float] = []

    async def leave() -> str:
        call = town.streaming()
        made, _ = await asyncio.gather(waiting.get(), _begun(call, opening))
        began = time.monotonic()
        call.cancel()
        took_ms.append((await made.client_left() - began) * 1000)
        return OK

    await together(LEAVERS, 1, leave)
    ship.well()
    name = "before the first word" if opening else "in the middle"
    return Figure(f"caller leaves {name}: provider's socket closed, p99", percentile(sorted(took_ms), 0.99), 50.0, "ms")


async def _begun(call: Streaming, opening: bool) -> None:
    if not opening:
        await call.read()


def percentile(values: list[float], share: float) -> float:
    """Of values in order."""
    return values[ceil(len(values) * share) - 1]


async def measured(home: Path) -> list[Figure]:
    async with asyncio.timeout(TIME_S), town(home) as place:
        found = [await callers_leave(place, opening=True), await callers_leave(place, opening=False)]
        for trouble in (one_is_sick, all_are_down, all_are_silent):
            await place.forget()
            found += await trouble(place)
        return found


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="trunkline-bench-") as home:
        found = asyncio.run(measured(Path(home)))
    for figure in found:
        print(figure)
    return 0 if all(figure.is_reached for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main())
