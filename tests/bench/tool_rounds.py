"""`python -m tests.bench.tool_rounds`: what a round of tools adds to a call, in processor time of the gateway alone.

A call with eight rounds of a tool behind an address, against one with none, some of them at once; model and tool answer
without delay, and like the caller from processes of their own. It fails where a round adds more than 2 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pstats
import signal
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.gateway import SERVE, Gateway, serving
from tests.bench.processes import Child, Cores, part
from tests.bench.profiled import LINES, command_of, seen_by
from tests.bench.rounds import Cost, cost

ROUNDS: Final = 8
CALLS: Final = 96
AT_ONCE: Final = 8
"""One alone would mostly wait, and be charged with all that a gateway does meanwhile for nobody."""
BLOCKS: Final = 5
OWN_MS_MAX: Final = 2.0


@dataclass(frozen=True)
class Bench:
    """Everything that runs."""

    gateway: Gateway
    caller: Child

    async def block(self, rounds: int) -> Cost:
        """So many calls."""
        beside = self.gateway.database_pids()
        return await cost(self.caller, self.gateway.pid, beside, rounds=rounds, calls=CALLS, at_once=AT_ONCE)

    async def measured(self) -> bool:
        blocks = [(await self.block(0), await self.block(ROUNDS)) for _ in range(BLOCKS)]
        _told("a call without a round", [without.us / 1e3 for without, _ in blocks])
        own_ms = _told("a round of our own", [_added(*(each.us for each in pair)) for pair in blocks])
        _told("a round of the database's", [_added(*(each.beside_us for each in pair)) for pair in blocks])
        _told("a round on the clock", [_added(*(1e6 / each.per_s for each in pair)) for pair in blocks])
        print(f"at most {OWN_MS_MAX} ms of our own: {'yes' if own_ms <= OWN_MS_MAX else 'NO'}")
        return own_ms <= OWN_MS_MAX


def _added(without_us: float, with_us: float) -> float:
    return (with_us - without_us) / ROUNDS / 1e3


def _told(what: str, blocks_ms: Sequence[float]) -> float:
    middle = statistics.median(blocks_ms)
    print(f"{what:26} {middle:5.2f} ms   ({min(blocks_ms):.2f} to {max(blocks_ms):.2f})")
    return middle


async def run(home: Path, *, profile: bool) -> bool:
    cores, seen = Cores.here(), home / "seen.prof"
    async with (
        part("tool_server", cores=cores.rest) as (_, heard),
        part("upstream", cores=cores.rest) as (_, upstream),
    ):
        hosts = json.dumps([f"127.0.0.1:{heard['port']}"])
        reach = {"TRUNKLINE_EGRESS__ALLOW_HTTP_HOSTS": hosts, "TRUNKLINE_EGRESS__ALLOW_PRIVATE_HOSTS": hosts}
        command = command_of(seen) if profile else SERVE
        async with (
            serving(home, upstream["url"], cores, command, reach) as gateway,
            part("tool_caller", gateway.address, gateway.key, str(heard["port"]), cores=cores.rest) as (caller, _),
        ):
            bench = Bench(gateway, caller)
            await bench.block(ROUNDS)
            if profile:
                os.kill(gateway.pid, signal.SIGUSR1)
                await bench.block(ROUNDS)
                pstats.Stats(str(await seen_by(gateway.pid, seen))).sort_stats("tottime").print_stats(LINES)
            return await bench.measured()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tool_rounds", description=__doc__)
    parser.add_argument("--profile", action="store_true", help="also where the time goes")
    profile: bool = parser.parse_args().profile
    with tempfile.TemporaryDirectory(prefix="trunkline-bench-") as home:
        return 0 if asyncio.run(run(Path(home), profile=profile)) else 1


if __name__ == "__main__":
    sys.exit(main())
