"""`make soak`: thousands of jobs while workers and the database are killed and stopped at random; then the figures."""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.fixtures.calamity import LEASE_S, Calamity
from tests.fixtures.served import served_at

RESCUE_S_MAX: Final = 5.0
"""After the end of a lease."""


async def soak(job_count: int, pause_s: float) -> None:
    with tempfile.TemporaryDirectory(prefix="trunkline-soak-") as home:
        async with served_at(Path(home)) as serve:
            gateway = await serve(command=("serve", "--no-worker"), TRUNKLINE_CREDITS__DEFAULT_GRANT="1000000")
            await gateway.until_serving()
            calamity, blows = Calamity(serve, gateway), 0
            async with gateway.client("ada") as client, gateway.database() as database:
                await calamity.hire()
                await calamity.hire()
                began = time.monotonic()
                ordering = asyncio.create_task(calamity.order(job_count, client))
                kinds = (calamity.kill_worker, calamity.kill_database, calamity.stop_worker_past_its_lease)
                while not ordering.done() or await calamity.over(database) < len(calamity.accepted):
                    await calamity.strike(random.choice(kinds), database)
                    blows += 1
                    await asyncio.sleep(pause_s)
                await ordering
                figures = await calamity.check(database)
                print(f"{blows} calamities in {time.monotonic() - began:.0f} s: {figures}")
                slowest_s = max(calamity.rescues_s, default=0.0)
                print(
                    f"{len(calamity.rescues_s)} workers died; all their jobs ran again after {slowest_s:.1f} s at most"
                )
                assert slowest_s <= LEASE_S + RESCUE_S_MAX, calamity.rescues_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--pause-s", type=float, default=3.0)
    arguments = parser.parse_args()
    asyncio.run(soak(arguments.jobs, arguments.pause_s))


if __name__ == "__main__":
    main()
