"""What the house tells of itself when it is asked: levels of the moment, and what its rooms have counted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from trunkline_server import __version__
from trunkline_server.core.errors import TrunklineError
from trunkline_server.core.figures import Family, Labels, level, total
from trunkline_server.door.journal import Journal
from trunkline_server.door.pressure import Pressure
from trunkline_server.gateway.reports import BREAKERS_MAX
from trunkline_server.gateway.vitals import resident_memory_bytes
from trunkline_server.house.engine import Engine
from trunkline_server.store.backlog import backlog

_CPU: Final = "trunkline_cpu_seconds_total"


@dataclass(frozen=True)
class Levels:
    """Of one process."""

    engine: Engine
    pressure: Pressure
    journal: Journal
    began_s: float = field(default_factory=time.time)

    def families(self) -> Iterator[Family]:
        yield from self._process()
        yield from self._door()
        yield from self._providers()
        yield from self._store()

    async def backlog(self) -> list[Family]:
        """Of all processes at once; empty while the database does not answer."""
        try:
            counts = await backlog(self.engine.ground.database)
        except TrunklineError:
            return []
        waiting: dict[Labels, float] = {(queue,): count for queue, count in counts.items()}
        return [level("trunkline_backlog", "What waits or runs in the database.", waiting, "queue", fold="max")]

    def _process(self) -> Iterator[Family]:
        yield level("trunkline_build_info", "The version.", {(__version__,): 1}, "version", fold="max")
        yield level("trunkline_processes", "Processes at this address.", 1)
        yield level("trunkline_start_time_seconds", "When the youngest process started.", self.began_s, fold="max")
        yield level("trunkline_memory_bytes", "Memory that is held.", resident_memory_bytes())
        yield total(_CPU, "Processor time.", time.process_time())
        yield level("trunkline_cpu_count", "Processors of the machine.", os.cpu_count() or 1, fold="max")

    def _door(self) -> Iterator[Family]:
        pressure = self.pressure
        calls: dict[Labels, float] = {("inside",): pressure.count, ("waiting",): pressure.waiting}
        yield level("trunkline_live_calls", "AI calls that run.", len(self.engine.calls.live))
        yield level("trunkline_door_calls", "Calls inside, and those that wait for a place.", calls, "state")
        yield level("trunkline_door_calls_limit", "How many calls may be inside.", pressure.calls_max)
        yield level(
            "trunkline_loop_lag_seconds", "How late the loop was last second, at worst.", pressure.lag_s, fold="max"
        )
        yield total(
            "trunkline_log_lines_dropped_total", "Log lines that a slow reader cost.", self.journal.dropped_count
        )

    def _providers(self) -> Iterator[Family]:
        lines, pools = self.engine.calls.routes.lines, self.engine.calls.routes.registry.pools()
        connections: dict[Labels, float] = {}
        for name, pool in pools.items():
            connections |= {(name, "in_use"): pool.in_use_count, (name, "idle"): pool.idle_count}
        limits: dict[Labels, float] = {(name,): pool.max_count for name, pool in pools.items()}
        exchanges: dict[Labels, float] = {(name,): pool.exchange_count for name, pool in pools.items()}
        shut: dict[Labels, float] = {(gate.name,): 1 for gate in lines.not_closed()[:BREAKERS_MAX]}
        yield level("trunkline_breakers_open", "Breakers that keep calls away.", shut, "name", fold="max")
        yield level("trunkline_provider_connections", "Connections to providers.", connections, "provider", "state")
        yield level("trunkline_provider_connections_limit", "How many there may be.", limits, "provider")
        yield total("trunkline_provider_exchanges_total", "Requests on these connections.", exchanges, "provider")

    def _store(self) -> Iterator[Family]:
        engine, pool = self.engine, self.engine.ground.database.figures
        states: dict[Labels, float] = {("in_use",): pool.open_count - pool.idle_count, ("idle",): pool.idle_count}
        yield level("trunkline_database_connections", "Connections to the database.", states, "state")
        yield level("trunkline_database_connections_limit", "How many there may be.", pool.max_count)
        yield level("trunkline_ledger_waiting", "Ledger operations that wait.", engine.calls.ledger.waiting_count)
        yield total("trunkline_ledger_expired_holds_total", "Holds freed late.", engine.calls.ledger.expired_count)
        yield level("trunkline_events_untold", "Events that are still to be written.", engine.calls.teller.untold_count)
