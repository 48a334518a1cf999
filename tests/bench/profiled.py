"""Where the gateway's time goes: `python -m tests.bench.profiled whole` (or `burst`, `paced`) lists the functions.

The gateway itself runs this file as well, as `... serve FILE`: SIGUSR1 begins to look, SIGUSR2 writes what was seen.
"""

from __future__ import annotations

import asyncio
import cProfile
import os
import pstats
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.bench.gateway import serving
from tests.bench.processes import Cores, part
from tests.bench.rounds import UNARY_AT_ONCE, cost
from trunkline_server import app, config

SECONDS: Final = 3.0
LINES: Final = 50


def serve(file: str) -> int:
    """`trunkline serve`, watched. The clock is that of the thread, so that neighbours on the machine do not count."""
    profile = cProfile.Profile(time.thread_time)
    signal.signal(signal.SIGUSR1, lambda *_: profile.enable())
    signal.signal(signal.SIGUSR2, lambda *_: _write(profile, Path(file)))
    return app.run(config.load())


def _write(profile: cProfile.Profile, file: Path) -> None:
    partial = file.with_suffix(".partial")
    profile.dump_stats(partial)
    partial.replace(file)


def command_of(seen: Path) -> tuple[str, ...]:
    """The gateway, watched."""
    return sys.executable, "-m", "tests.bench.profiled", "serve", str(seen)


async def seen_by(pid: int, seen: Path) -> Path:
    """What it saw, in that file."""
    os.kill(pid, signal.SIGUSR2)
    async with asyncio.timeout(10):
        while not _is_there(seen):  # noqa: ASYNC110  another process writes it
            await asyncio.sleep(0.05)
    return seen


def _is_there(file: Path) -> bool:
    return file.exists()


async def watch(kind: str, home: Path) -> Path:
    """Load a watched gateway; what was seen."""
    cores, seen = Cores.here(), home / "seen.prof"
    async with (
        part("upstream", cores=cores.rest) as (_, upstream),
        serving(home, upstream["url"], cores, command_of(seen)) as gateway,
        part("load", gateway.address, gateway.key, cores=cores.rest) as (load, _),
    ):
        order = {"kind": kind, "seconds": SECONDS, "at_once": UNARY_AT_ONCE}
        await cost(load, gateway.pid, [], **order)
        os.kill(gateway.pid, signal.SIGUSR1)
        await cost(load, gateway.pid, [], **order)
        return await seen_by(gateway.pid, seen)


def main() -> int:
    kind, *rest = sys.argv[1:] or ["whole"]
    if kind == "serve":
        return serve(rest[0])
    with tempfile.TemporaryDirectory(prefix="trunkline-bench-") as home:
        seen = asyncio.run(watch(kind, Path(home)))
        for order in ("tottime", "cumulative"):
            pstats.Stats(str(seen)).sort_stats(order).print_stats(LINES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
