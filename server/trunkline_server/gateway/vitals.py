"""How this replica does: what it uses of the machine, how its connections are, and what is not as it should be."""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trunkline.v1 import admin_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.moment import duration, timestamp
from trunkline_server.gateway.lines import Lines
from trunkline_server.gateway.live import LiveCalls
from trunkline_server.gateway.reports import BREAKERS_MAX, breaker_of
from trunkline_server.providers.client import PoolFigures
from trunkline_server.providers.registry import Registry
from trunkline_server.store.database import Database
from trunkline_server.store.provider_checks import Check

CHECK_FAILURES_MIN: Final = 2
"""A provider that did not answer once may have been restarted."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Shares of what there is, beyond which something is not as it should be."""

    disk_free_min: float = 0.05
    memory_max: float = 0.85
    connections_max: float = 1.0


@dataclass
class Vitals:
    """Made when the replica starts."""

    database: Database
    database_embedded: bool
    data_path: Path
    registry: Registry
    lines: Lines
    live: LiveCalls
    draining: Callable[[], bool]
    memory_share: Callable[[], float]
    checks: Callable[[], Awaitable[Sequence[Check]]]
    thresholds: Thresholds = Thresholds()
    _began_s: float = field(default_factory=time.monotonic)
    _asked: tuple[float, float] = (0.0, 0.0)
    """When it was asked last, and the processor time until then."""

    async def told(self) -> admin_pb2.SystemHealth:
        """All of it."""
        now_s, cpu_s, disk = time.monotonic(), time.process_time(), shutil.disk_usage(self.data_path)
        health = admin_pb2.SystemHealth(
            uptime=duration(now_s - self._began_s),
            resident_memory_bytes=resident_memory_bytes(),
            cpu_time=duration(cpu_s),
            cpu_count=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            cpu_load=self._cpu_load(now_s, cpu_s),
            disk_size_bytes=disk.total,
            disk_free_bytes=disk.free,
            live_call_count=len(self.live),
            database=await self._database(),
            provider_pools=[_pool(name, figures) for name, figures in self.registry.pools().items()],
            breakers=[breaker_of(gate, self.lines.clock()) for gate in self.lines.not_closed()[:BREAKERS_MAX]],
            provider_checks=await self._checks(),
        )
        health.problems.extend(_problems(health, self.memory_share(), self.thresholds))
        health.status = self._status(health)
        return health

    def _status(self, health: admin_pb2.SystemHealth) -> admin_pb2.SystemStatus.ValueType:
        if self.draining():
            return admin_pb2.SYSTEM_STATUS_DRAINING
        return admin_pb2.SYSTEM_STATUS_DEGRADED if health.problems else admin_pb2.SYSTEM_STATUS_OK

    def _cpu_load(self, now_s: float, cpu_s: float) -> float:
        since_s, before_s = self._asked if self._asked[0] else (self._began_s, 0.0)
        self._asked = (now_s, cpu_s)
        return (cpu_s - before_s) / (now_s - since_s) if now_s > since_s else 0.0

    async def _database(self) -> admin_pb2.DatabaseHealth:
        round_trip_s = await self._round_trip_s()
        figures = self.database.figures
        return admin_pb2.DatabaseHealth(
            ok=round_trip_s is not None,
            embedded=self.database_embedded,
            round_trip=duration(round_trip_s),
            connection_count=figures.open_count,
            idle_connection_count=figures.idle_count,
            max_connection_count=figures.max_count,
        )

    async def _checks(self) -> list[admin_pb2.ProviderCheck]:
        try:
            return [_check(each) for each in await self.checks()]
        except TrunklineError as error:
            if error.reason is not Reason.STORE_UNAVAILABLE:
                raise
            return []

    async def _round_trip_s(self) -> float | None:
        try:
            return await self.database.round_trip_s()
        except TrunklineError as error:
            if error.reason is not Reason.STORE_UNAVAILABLE:
                raise
            return None


def resident_memory_bytes() -> int:
    """What Linux counts; elsewhere the most that it ever was."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return pages * resource.getpagesize()


def _problems(
    health: admin_pb2.SystemHealth, memory_share: float, thresholds: Thresholds
) -> Iterator[admin_pb2.SystemProblem.ValueType]:
    database = health.database
    if not database.ok:
        yield admin_pb2.SYSTEM_PROBLEM_DATABASE
    if health.breakers:
        yield admin_pb2.SYSTEM_PROBLEM_BREAKERS
    if health.disk_free_bytes < thresholds.disk_free_min * health.disk_size_bytes:
        yield admin_pb2.SYSTEM_PROBLEM_DISK
    pools = [(pool.in_use_count, pool.max_count) for pool in health.provider_pools]
    pools.append((database.connection_count - database.idle_connection_count, database.max_connection_count))
    if any(in_use >= thresholds.connections_max * most for in_use, most in pools):
        yield admin_pb2.SYSTEM_PROBLEM_CONNECTIONS
    if memory_share > thresholds.memory_max:
        yield admin_pb2.SYSTEM_PROBLEM_MEMORY
    if any(check.failure_count >= CHECK_FAILURES_MIN for check in health.provider_checks):
        yield admin_pb2.SYSTEM_PROBLEM_PROVIDERS


def _check(check: Check) -> admin_pb2.ProviderCheck:
    return admin_pb2.ProviderCheck(
        provider=check.provider,
        failure_kind=check.failure_kind,
        failure_count=check.failures,
        duration=duration(check.duration_ms / 1000),
        check_time=timestamp(check.check_time),
    )


def _pool(provider: str, figures: PoolFigures) -> admin_pb2.ProviderPool:
    return admin_pb2.ProviderPool(
        provider=provider,
        in_use_count=figures.in_use_count,
        idle_count=figures.idle_count,
        max_count=figures.max_count,
        exchange_count=figures.exchange_count,
        reused_share=figures.reused_count / figures.exchange_count,
    )
