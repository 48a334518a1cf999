"""What a worker that serves nobody shows of itself: its probes and figures, over HTTP and in the clear."""

from __future__ import annotations

from collections.abc import Callable

from trunkline_server.door.journal import Journal
from trunkline_server.door.pressure import Pressure
from trunkline_server.edge.limits import Limits, Traffic
from trunkline_server.edge.probes import probes
from trunkline_server.edge.router import Router
from trunkline_server.edge.server import HttpServer
from trunkline_server.house.engine import Engine
from trunkline_server.house.keeping import keep
from trunkline_server.house.levels import Levels
from trunkline_server.house.limiting import pressure_settings
from trunkline_server.house.telemetry import Meters, Page


async def open_lookout(engine: Engine, meters: Meters, ready: Callable[[], bool]) -> str:
    """Its address; empty where it is to have none. Raises OSError where that cannot be bound."""
    settings, stack = engine.ground.settings, engine.ground.stack
    if not settings.jobs.http_address:
        return ""
    pressure, traffic = Pressure(pressure_settings(settings)), Traffic()
    page = Page(meters, Levels(engine, pressure, Journal(lambda _: None)), traffic, None)
    keep(stack, pressure.watch())
    http = HttpServer(settings.jobs.http_address, Limits(), traffic, Router(probes(ready, page.text), ()))
    stack.push_async_callback(http.stop, 0)
    return await http.start()
