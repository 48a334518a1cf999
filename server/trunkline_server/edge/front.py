"""All that the HTTP door serves, put together. A further API is a room of its own, and one line here."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from trunkline_server.door.boundary import Boundary, Procedure
from trunkline_server.edge.anthropic.door import AnthropicDoor
from trunkline_server.edge.calls import Calls
from trunkline_server.edge.dashboard.door import DashboardDoor
from trunkline_server.edge.dashboard.sessions import Sessions
from trunkline_server.edge.limits import Limits, Traffic
from trunkline_server.edge.live.door import LiveDoor
from trunkline_server.edge.live.places import Places
from trunkline_server.edge.models import ModelsDoor
from trunkline_server.edge.openai.door import OpenAIDoor
from trunkline_server.edge.probes import probes
from trunkline_server.edge.router import Route, Router
from trunkline_server.edge.rpc.door import RpcDoor
from trunkline_server.edge.server import HttpServer


@dataclass(frozen=True, slots=True)
class FrontSettings:
    """`allowed_origins` are the pages of browsers that may call; `shared`: others serve at this address as well;
    `sessions` are those of the dashboard, where there is one."""

    address: str
    allowed_origins: tuple[str, ...] = ()
    streams_per_key_max: int = 100
    limits: Limits = field(default_factory=Limits)
    shared: bool = False
    sessions: Sessions | None = None
    tls: ssl.SSLContext | None = None


def front(
    settings: FrontSettings,
    boundary: Boundary,
    procedures: Mapping[str, Procedure],
    *further: Route,
    ready: Callable[[], bool],
    traffic: Traffic,
    figures: Callable[[], Awaitable[str]],
) -> HttpServer:
    """The door, not yet open."""
    calls = Calls(boundary, procedures, settings.limits.body_bytes_max)
    rpcs = RpcDoor(calls)
    routes = [
        *probes(ready, figures),
        *rpcs.routes(),
        *(DashboardDoor(calls, rpcs, settings.sessions).routes() if settings.sessions else ()),
        *OpenAIDoor(calls).routes(),
        *AnthropicDoor(calls).routes(),
        *ModelsDoor(calls).routes(),
        *LiveDoor(
            calls, Places(settings.streams_per_key_max, traffic), settings.limits, settings.allowed_origins
        ).routes(),
        *further,
    ]
    router = Router(routes, settings.allowed_origins)
    return HttpServer(settings.address, settings.limits, traffic, router, shared=settings.shared, tls=settings.tls)
