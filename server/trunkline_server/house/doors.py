"""The two doors, over the same services."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeAlias

from google.protobuf.descriptor import ServiceDescriptor

from trunkline_server.config import Settings
from trunkline_server.door.handlers import rpcs_of
from trunkline_server.door.server import Drain, Server, ServerSettings
from trunkline_server.door.tls import Tls
from trunkline_server.edge.dashboard.sessions import Sessions
from trunkline_server.edge.front import FrontSettings, front
from trunkline_server.edge.limits import Limits
from trunkline_server.edge.server import HttpServer
from trunkline_server.house.entrance import Entrance
from trunkline_server.house.ground import Ground

Services: TypeAlias = Iterable[tuple[ServiceDescriptor, object]]


def open_doors(
    entrance: Entrance, services: Services, drain: Drain, *, tls: tuple[Tls, Tls] | None, shared: bool
) -> tuple[Server, HttpServer]:
    """gRPC and HTTP; both have still to be started. `shared`: other processes open theirs at the same addresses."""
    boundary, ground = entrance.boundary(), entrance.engine.ground
    offered = {each.full_name: boundary.procedures(each, service) for each, service in services}
    rpcs = {name: rpcs_of(boundary, procedures.values()) for name, procedures in offered.items()}
    served = replace(_grpc_settings(ground.settings, shared=shared), tls=tls[0].context if tls else None)
    fronted = replace(_http_settings(ground, shared=shared), tls=tls[1].context if tls else None)
    http = front(
        fronted,
        boundary,
        {name: procedure for service in offered.values() for name, procedure in service.items()},
        *entrance.engine.background.hooks.door(ground.settings.providers).routes(),
        ready=lambda: not drain.draining,
        traffic=entrance.traffic,
        figures=entrance.page.text,
    )
    return Server(served, rpcs, entrance.callers), http


def _grpc_settings(settings: Settings, *, shared: bool) -> ServerSettings:
    grpc = settings.grpc
    return ServerSettings(
        address=grpc.address,
        receive_bytes_max=grpc.receive_bytes_max,
        concurrent_streams_max=grpc.concurrent_streams_max,
        reflection=grpc.reflection,
        shared=shared,
        health_address=grpc.health_address,
    )


def _http_settings(ground: Ground, *, shared: bool) -> FrontSettings:
    http, dashboard = ground.settings.http, ground.settings.dashboard
    sessions = Sessions.derive(ground.secret, dashboard.session_s) if dashboard.enabled else None
    limits = Limits(
        connections_max=http.connections_max,
        body_bytes_max=http.receive_bytes_max,
        head_s=http.head_timeout_s,
        body_s=http.body_timeout_s,
        idle_s=http.idle_timeout_s,
    )
    return FrontSettings(http.address, http.allowed_origins, http.streams_per_key_max, limits, shared, sessions)
