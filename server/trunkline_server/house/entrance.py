"""What every call passes on its way in, whichever door it takes, and what is noted of it."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from trunkline_server.core import redaction
from trunkline_server.core.browser_token import BrowserTokens
from trunkline_server.door.boundary import Boundary
from trunkline_server.door.caller import Callers
from trunkline_server.door.contract import contract_here
from trunkline_server.door.journal import Journal
from trunkline_server.door.pressure import Pressure
from trunkline_server.door.replays import Replays
from trunkline_server.door.signed import Freshness
from trunkline_server.door.sink import Sink
from trunkline_server.door.witness import Witness
from trunkline_server.edge.limits import Traffic
from trunkline_server.house.deadlines import deadlines_of
from trunkline_server.house.engine import Engine
from trunkline_server.house.ground import Ground
from trunkline_server.house.levels import Levels
from trunkline_server.house.limiting import pressure_settings
from trunkline_server.house.securing import strangers_of
from trunkline_server.house.telemetry import Meters, Page
from trunkline_server.store.idempotency import Idempotency
from trunkline_server.store.keys import CHANNEL, Keys
from trunkline_server.store.nonces import Nonces
from trunkline_server.store.tenants import Tenants

NAMED_BY_CALLER: Final = frozenset(
    f"/trunkline.v1.{name}"
    for name in (
        "CreditService/GrantCredits",
        "CreditService/Reserve",
        "FineTuningService/CreateFineTune",
        "VideoService/GenerateVideo",
    )
)
"""Methods that make what they make once by themselves."""


@dataclass(frozen=True)
class Entrance:
    """`results` are the answers kept for request ids, `page` all figures."""

    engine: Engine
    keys: Keys
    tenants: Tenants
    callers: Callers
    results: Idempotency
    journal: Journal
    pressure: Pressure
    meters: Meters
    traffic: Traffic
    page: Page

    @classmethod
    def open(cls, engine: Engine, place: Path | None) -> Self:
        """`place`: where this process tells others at the same address its figures. Raises StartError."""
        ground = engine.ground
        keys, tenants = Keys(ground.database, ground.secret), Tenants(ground.database)
        callers, journal = _callers(ground, keys, tenants), _open_journal(ground.stack)
        pressure = Pressure(pressure_settings(ground.settings))
        meters, traffic = Meters.open(ground.settings, ground.stack), Traffic()
        meters.watch(engine.calls.gateway.settlement)
        page = Page(meters, Levels(engine, pressure, journal), traffic, place)
        page.keep(ground.stack)
        results = Idempotency(ground.database)
        return cls(engine, keys, tenants, callers, results, journal, pressure, meters, traffic, page)

    async def follow(self) -> None:
        """Hear of keys that others revoke."""
        await self.engine.ground.database.listen(CHANNEL, self.callers.forget)

    def boundary(self) -> Boundary:
        engine, settings = self.engine, self.engine.ground.settings
        return Boundary(
            contract=contract_here(),
            callers=self.callers,
            replays=Replays(self.results, engine.ground.replica_id, NAMED_BY_CALLER),
            journal=self.journal,
            deadlines=deadlines_of(settings),
            pressure=self.pressure,
            heartbeat_s=settings.grpc.heartbeat_s,
            witness=Witness(engine.audit),
            meter=self.meters.calls,
            tracer=self.meters.tracer,
            streams=engine.streams,
        )


def _callers(ground: Ground, keys: Keys, tenants: Tenants) -> Callers:
    return Callers(
        keys,
        tenants,
        ground.settings.auth.cache_ttl_s,
        asyncio.get_running_loop().time,
        strangers_of(ground),
        pages=BrowserTokens.derive(ground.secret),
        freshness=Freshness(Nonces(ground.database), ground.settings.auth.signature_window_s),
    )


def _open_journal(stack: AsyncExitStack) -> Journal:
    sink = Sink(sys.stdout.buffer, redaction.lines)
    stack.callback(sink.close)
    journal = Journal(sink.write)
    stack.callback(journal.flush)
    return journal
