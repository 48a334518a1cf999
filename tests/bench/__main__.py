"""`make bench`: measures, tells, and fails when a ratio is a quarter worse than the recorded one."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from tests.bench import figures
from tests.bench.rounds import QUICK, THOROUGH, measure

TIME_S: Final = 85.0
INTERRUPTED: Final = 130


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    parser.add_argument("--record", action="store_true", help="hold later runs to what this one finds")
    return parser.parse_args()


async def _measured(home: Path, *, quick: bool) -> figures.Figures:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with asyncio.timeout(TIME_S):
        return await measure(home, QUICK if quick else THOROUGH)


def main() -> int:
    arguments = _arguments()
    try:
        with tempfile.TemporaryDirectory(prefix="trunkline-bench-") as home:
            found = asyncio.run(_measured(Path(home), quick=arguments.quick))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    if arguments.json:
        print(msgspec.json.encode({**msgspec.structs.asdict(found), "ratios": found.ratios}).decode())
    else:
        print(figures.told(found))
    if arguments.record:
        figures.record(found.ratios)
        return 0
    slower = figures.worse(found.ratios, figures.recorded())
    for line in slower:
        print(f"worse by a quarter: {line}", file=sys.stderr)
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
