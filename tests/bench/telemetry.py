"""What telemetry costs: `python -m tests.bench.telemetry` asks gateways with none, figures, traces, in turns."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.gateway import Gateway, serving
from tests.bench.processes import Child, Cores, part
from tests.bench.rounds import UNARY_AT_ONCE, cost

ROUNDS: Final = 7
SECONDS: Final = 1.0
NOTHING: Final = {"TRUNKLINE_TELEMETRY__METRICS": "false"}


def _kinds(collector: str) -> Mapping[str, Mapping[str, str]]:
    sent = {"TRUNKLINE_TELEMETRY__OTLP_ENDPOINT": collector, "TRUNKLINE_TELEMETRY__EXPORT_S": "1"}
    return {
        "nothing": NOTHING,
        "figures": {},
        "figures, one in ten traced": sent,
        "figures, all traced": {**sent, "TRUNKLINE_TELEMETRY__TRACE_RATIO": "1"},
    }


async def measure(home: Path) -> dict[str, float]:
    """Processor time of a unary call, in microseconds, by what is told of it."""
    cores = Cores.here()
    found: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        _, upstream = await stack.enter_async_context(part("upstream", cores=cores.rest))
        asked: dict[str, tuple[Gateway, Child]] = {}
        for name, environment in _kinds(upstream["url"]).items():
            place = home / str(len(asked))
            place.mkdir()
            gateway = await stack.enter_async_context(serving(place, upstream["url"], cores, environment=environment))
            load, _ = await stack.enter_async_context(part("load", gateway.address, gateway.key, cores=cores.rest))
            asked[name] = gateway, load
        for turn in range(ROUNDS + 1):
            for name, (gateway, load) in asked.items():
                told = await cost(load, gateway.pid, [], kind="whole", seconds=SECONDS, at_once=UNARY_AT_ONCE)
                found.setdefault(name, []).extend([told.us] if turn else [])
    return {name: median(each) for name, each in found.items()}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="trunkline-bench-") as home:
        found = asyncio.run(measure(Path(home)))
    for name, us in found.items():
        print(f"{name:28} {us:6.0f} us  {us / found['nothing']:.2f}")


if __name__ == "__main__":
    main()
