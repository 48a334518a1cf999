"""Measures the servers in turns, so that what disturbs the machine disturbs all of them alike."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.bench.figures import Figures
from tests.bench.gateway import Gateway, serving, settle_down
from tests.bench.processes import Child, Cores, cpu_of, cpu_s, part, resident_mib

UNARY_AT_ONCE: Final = 32
BURSTS_AT_ONCE: Final = 16
PACED_AT_ONCE: Final = 64
PAIRS_AT_ONCE: Final = 64


@dataclass(frozen=True)
class Pace:
    """How much is measured."""

    rounds: int
    warm_s: float
    unary_s: float
    burst_s: float
    starts: int


THOROUGH = Pace(rounds=5, warm_s=1.5, unary_s=1.5, burst_s=1.5, starts=3)
QUICK = Pace(rounds=2, warm_s=0.5, unary_s=0.6, burst_s=0.6, starts=1)


@dataclass(frozen=True)
class Cost:
    """What one piece of work cost one process and those beside it."""

    us: float
    beside_us: float
    busy: float
    per_s: float
    gap_ms: float
    gap_p50_ms: float


async def cost(worker: Child, pid: int, beside: list[int], **order: object) -> Cost:
    """Have the work done, and see what it cost. Fails when any of it failed."""
    before, beside_before, began = cpu_s(pid), cpu_of(beside), time.monotonic()
    done: Any = await worker.order(**order)
    used, beside_now = cpu_s(pid) - before, cpu_of(beside)
    beside_used = sum(now - beside_before[pid] for pid, now in beside_now.items() if pid in beside_before)
    wall_s = time.monotonic() - began
    if done["failed"] or not done["count"]:
        raise RuntimeError(f"{done['failed']} of {order} failed: {done.get('error')}")
    count = done["count"]
    gaps_ms = done.get("gap_s", 0) * 1e3, done.get("gap_p50_s", 0) * 1e3
    return Cost(used / count * 1e6, beside_used / count * 1e6, used / wall_s, count / wall_s, *gaps_ms)


@dataclass(frozen=True)
class Bench:
    """Everything that runs while the calls are measured."""

    echo: Child
    to_echo: Child
    own_echo: Child
    to_own_echo: Child
    client: Child
    gateway: Gateway
    to_gateway: Child

    async def unary_echo(self, seconds: float) -> Cost:
        return await cost(self.to_echo, self.echo.pid, [], kind="whole", seconds=seconds, at_once=UNARY_AT_ONCE)

    async def unary_own_echo(self, seconds: float) -> Cost:
        order = {"kind": "whole", "seconds": seconds, "at_once": UNARY_AT_ONCE}
        return await cost(self.to_own_echo, self.own_echo.pid, [], **order)

    async def unary_client(self, seconds: float) -> Cost:
        return await cost(self.client, self.client.pid, [], seconds=seconds, at_once=UNARY_AT_ONCE)

    async def unary(self, seconds: float) -> Cost:
        return await self._gateway("whole", seconds, UNARY_AT_ONCE)

    async def moved(self, seconds: float) -> Cost:
        return await self._gateway("moved", seconds, UNARY_AT_ONCE)

    async def bursts(self, seconds: float) -> Cost:
        return await self._gateway("burst", seconds, BURSTS_AT_ONCE)

    async def paced(self) -> Cost:
        return await self._gateway("paced", 0, PACED_AT_ONCE)

    async def paced_guarded(self) -> Cost:
        """The same with personal data masked in the question, put back and looked for in the answer."""
        return await self._gateway("paced guarded", 0, PACED_AT_ONCE)

    async def _gateway(self, kind: str, seconds: float, at_once: int) -> Cost:
        order = {"kind": kind, "seconds": seconds, "at_once": at_once}
        return await cost(self.to_gateway, self.gateway.pid, self.gateway.database_pids(), **order)


async def measure(home: Path, pace: Pace) -> Figures:
    """The whole bench."""
    cores = Cores.here()
    async with AsyncExitStack() as stack:
        _, upstream = await stack.enter_async_context(part("upstream", cores=cores.rest))
        url = upstream["url"]
        async with serving(home, url, cores) as first:
            first_start_s = first.start_s
        starts_s = []
        for _ in range(pace.starts - 1):
            async with serving(home, url, cores) as again:
                starts_s.append(again.start_s)
        gateway = await stack.enter_async_context(serving(home, url, cores))
        idle_mib = resident_mib(gateway.pid)
        calls = await _calls(await _bench(stack, url, gateway, cores), cores, pace)
        talk_ms = await _talk_ms(gateway, cores, pace)
        pairs_per_s = await _pairs_per_s(home, cores, pace)
    return Figures(
        **calls,
        first_start_s=first_start_s,
        start_s=median([*starts_s, gateway.start_s]),
        idle_mib=idle_mib,
        talk_ms=talk_ms,
        ledger_pairs_per_s=pairs_per_s,
    )


async def _bench(stack: AsyncExitStack, url: str, gateway: Gateway, cores: Cores) -> Bench:
    echo, heard = await stack.enter_async_context(part("echo", cores=cores.server))
    to_echo, _ = await stack.enter_async_context(part("load", heard["address"], gateway.key, cores=cores.rest))
    own_echo, heard = await stack.enter_async_context(part("own_echo", cores=cores.server))
    to_own_echo, _ = await stack.enter_async_context(part("load", heard["address"], gateway.key, cores=cores.rest))
    client, _ = await stack.enter_async_context(part("caller", url, cores=cores.server))
    to_gateway, _ = await stack.enter_async_context(part("load", gateway.address, gateway.key, cores=cores.rest))
    return Bench(echo, to_echo, own_echo, to_own_echo, client, gateway, to_gateway)


async def _calls(bench: Bench, cores: Cores, pace: Pace) -> dict[str, float]:
    """Processor time per call and per delta."""
    await _warm(bench, pace.warm_s)
    settle_down(bench.gateway, cores)
    echo, own_echo, client, unary, moved, bursts = [], [], [], [], [], []
    for _ in range(pace.rounds):
        echo.append(await bench.unary_echo(pace.unary_s))
        own_echo.append(await bench.unary_own_echo(pace.unary_s))
        client.append(await bench.unary_client(pace.unary_s))
        unary.append(await bench.unary(pace.unary_s))
        moved.append(await bench.moved(pace.unary_s))
        bursts.append(await bench.bursts(pace.burst_s))
    paced, guarded = await bench.paced(), await bench.paced_guarded()
    return {
        "echo_us": median(each.us for each in echo),
        "own_echo_us": median(each.us for each in own_echo),
        "client_us": median(each.us for each in client),
        "gateway_us": median(each.us for each in unary),
        "moved_us": median(each.us for each in moved),
        "gateway_busy": median(each.busy for each in unary),
        "gateway_calls_per_s": median(each.per_s for each in unary),
        "database_us": median(each.beside_us for each in unary),
        "burst_delta_us": median(each.us for each in bursts),
        "paced_delta_us": paced.us,
        "paced_gap_ms": paced.gap_ms,
        "paced_gap_p50_ms": paced.gap_p50_ms,
        "guarded_gap_p50_ms": guarded.gap_p50_ms,
        "guarded_delta_us": guarded.us,
    }


async def _talk_ms(gateway: Gateway, cores: Cores, pace: Pace) -> float:
    """A call within a long conversation: what it costs the gateway and its database together."""
    async with part("talker", gateway.address, gateway.key, cores=cores.rest) as (talker, _):
        await cost(talker, gateway.pid, [], seconds=pace.warm_s)
        found = await cost(talker, gateway.pid, gateway.database_pids(), seconds=pace.unary_s)
    return (found.us + found.beside_us) / 1000


async def _pairs_per_s(home: Path, cores: Cores, pace: Pace) -> float:
    async with part("ledger", str(home / "data" / "postgres"), cores=cores.server) as (ledger, _):
        await cost(ledger, ledger.pid, [], seconds=pace.warm_s, at_once=PAIRS_AT_ONCE)
        return (await cost(ledger, ledger.pid, [], seconds=pace.unary_s, at_once=PAIRS_AT_ONCE)).per_s


async def _warm(bench: Bench, seconds: float) -> None:
    """Connections made, code run, caches filled."""
    for run in (bench.unary_echo, bench.unary_own_echo, bench.unary_client, bench.unary, bench.moved, bench.bursts):
        await asyncio.wait_for(run(seconds), 30)
