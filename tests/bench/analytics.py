"""`python -m tests.bench.analytics`: how long analytics and the dashboard take over 90 days of usage.

It fails where a question over sums takes more than 300 ms, or a page of the dashboard more than a second.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import grpc

from tests.fixtures.usage_rows import fill
from trunkline.v1 import admin_pb2, admin_pb2_grpc, analytics_pb2, analytics_pb2_grpc
from trunkline_server import config
from trunkline_server.app import House, opened
from trunkline_server.core.ids import parse
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.embedded import EmbeddedPostgres
from trunkline_server.store.migrate import migrate
from trunkline_server.store.rollups import Rollups

DAYS: Final = 90
QUERY_MS_MAX: Final = 300.0
PAGE_MS_MAX: Final = 1000.0
ROUNDS: Final = 7

Ask = Callable[[], Awaitable[Any]]


class Bench:
    """A gateway over a database that is full."""

    def __init__(self, house: House, channel: grpc.aio.Channel) -> None:
        self.house = house
        self.metadata = (("authorization", f"Bearer {house.admin_key}"),)
        self.admin: admin_pb2_grpc.AdminServiceAsyncStub = admin_pb2_grpc.AdminServiceStub(channel)
        self.analytics: analytics_pb2_grpc.AnalyticsServiceAsyncStub = analytics_pb2_grpc.AnalyticsServiceStub(channel)

    def asked(self, method: str, *by: str, **more: Any) -> Ask:
        """A question over all of the days."""
        selection = analytics_pb2.CallSelection(
            group_by=[analytics_pb2.Dimension.Value(f"DIMENSION_{name}") for name in by], **more
        )
        selection.start_time.FromDatetime(datetime.now(UTC) - timedelta(days=DAYS))
        request: Any = getattr(analytics_pb2, f"{method}Request")(selection=selection)
        if method != "GetReport":
            request.page_size = 1000
        return lambda: getattr(self.analytics, method)(request, metadata=self.metadata)

    def questions(self) -> dict[str, Ask]:
        return {
            "costs, whole": self.asked("GetCosts"),
            "costs by day and model": self.asked("GetCosts", "DAY", "MODEL"),
            "costs by user": self.asked("GetCosts", "USER"),
            "costs by day of one user": self.asked("GetCosts", "DAY", user_id="user-001"),
            "usage by day": self.asked("GetUsage", "DAY"),
            "performance, whole": self.asked("GetPerformance"),
            "performance by day": self.asked("GetPerformance", "DAY"),
            "performance by model": self.asked("GetPerformance", "MODEL"),
            "report by model": self.asked("GetReport", "MODEL"),
            "realtime": lambda: self.analytics.GetRealtime(analytics_pb2.GetRealtimeRequest(), metadata=self.metadata),
        }

    async def page(self) -> None:
        """What the overview asks, all at once."""
        names = (
            "costs by day and model",
            "costs by user",
            "usage by day",
            "performance, whole",
            "performance by day",
            "performance by model",
            "realtime",
        )
        questions = self.questions()
        await asyncio.gather(*(questions[name]() for name in names))

    async def tenant_id(self) -> UUID:
        told = await self.admin.ListTenants(admin_pb2.ListTenantsRequest(), metadata=self.metadata)
        found = parse("tnt", told.tenants[0].tenant_id)
        assert found is not None
        return found


async def measured(ask: Ask) -> float:
    """Milliseconds, the median of some rounds."""
    took: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await ask()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


async def run(home: Path, rows: int, *, serve: bool) -> Sequence[str]:
    """What took too long."""
    postgres = await EmbeddedPostgres.start(home / "postgres")
    try:
        await migrate(postgres.url)
        settings = config.load(
            {
                "TRUNKLINE_DATA_DIR": str(home / "data"),
                "TRUNKLINE_DATABASE_URL": postgres.url,
                "TRUNKLINE_GRPC__ADDRESS": "127.0.0.1:0",
                "TRUNKLINE_HTTP__ADDRESS": "127.0.0.1:0",
            }
        )
        async with opened(settings) as house, grpc.aio.insecure_channel(house.grpc_address) as channel:
            return await _run(Bench(house, channel), postgres.url, rows, serve=serve)
    finally:
        await postgres.stop()


async def _run(bench: Bench, url: str, rows: int, *, serve: bool) -> Sequence[str]:
    database = await Database.open(DatabaseSettings(url, command_timeout_s=60))
    tenant_id = await bench.tenant_id()
    began = time.perf_counter()
    await fill(database, tenant_id, rows, DAYS)
    filled = time.perf_counter()
    await Rollups(database, timedelta(days=DAYS)).catch_up()
    async with database.patient(60) as connection:  # the database may be at it by itself
        await connection.execute("ANALYZE usage")
    print(f"{rows:,} rows in {filled - began:.1f} s, summed in {time.perf_counter() - filled:.1f} s")
    slow = []
    limits = {name: (ask, QUERY_MS_MAX) for name, ask in bench.questions().items()}
    for name, (ask, limit_ms) in (limits | {"the dashboard's overview": (bench.page, PAGE_MS_MAX)}).items():
        took_ms = await measured(ask)
        print(f"{name:32} {took_ms:7.1f} ms   (at most {limit_ms:.0f})")
        if took_ms > limit_ms:
            slow.append(name)
    if serve:
        print(f"http://{bench.house.http_address}/dashboard  {bench.house.admin_key}", flush=True)
        await asyncio.Event().wait()
    await database.close()
    return slow


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.analytics", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--serve", action="store_true", help="go on serving, to be looked at in a browser")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trunkline-bench-") as home:
        slow = asyncio.run(run(Path(home), arguments.rows, serve=arguments.serve))
    for name in slow:
        print(f"too slow: {name}", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
