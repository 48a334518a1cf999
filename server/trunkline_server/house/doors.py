"""The two doors, over the same services."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from google.protobuf.descriptor import ServiceDescriptor

from trunkline_server.config import Settings
from trunkline_server.door.boundary import Boundary
from trunkline_server.door.caller import Callers
from trunkline_server.door.handlers import rpcs_of
from trunkline_server.door.server import Drain, Server, ServerSettings
from trunkline_server.door.tls import Tls
from trunkline_server.edge.dashboard.sessions import Sessions
from trunkline_server.edge.front import FrontSettings, front
from trunkline_server.edge.limits import Limits, Traffic
from trunkline_server.edge.server import HttpServer
from trunkline_server.edge.webhooks import WebhookDoor


def open_doors(
    settings: Settings,
    *,
    tls: tuple[Tls, Tls] | None,
    boundary: Boundary,
    services: Mapping[ServiceDescriptor, object],
    callers: Callers,
    drain: Drain,
    traffic: Traffic,
    figures: Callable[[], Awaitable[str]],
    webhooks: WebhookDoor,
    secret: bytes,
    shared: bool,
) -> tuple[Server, HttpServer]:
    """gRPC and HTTP; both have still to be started. `shared`: other processes open theirs at the same addresses."""
    offered = {each.full_name: boundary.procedures(each, service) for each, service in services.items()}
    rpcs = {name: rpcs_of(boundary, procedures.values()) for name, procedures in offered.items()}
    procedures = {name: procedure for service in offered.values() for name, procedure in service.items()}
    served = replace(_grpc_settings(settings, shared=shared), tls=tls[0].context if tls else None)
    fronted = replace(_http_settings(settings, secret, shared=shared), tls=tls[1].context if tls else None)
    server = Server(served, rpcs, callers)
    http = front(
        fronted,
        boundary,
        procedures,
        *webhooks.routes(),
        ready=lambda: not drain.draining,
        traffic=traffic,
        figures=figures,
    )
    return server, http


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


def _http_settings(settings: Settings, secret: bytes, *, shared: bool) -> FrontSettings:
    http, dashboard = settings.http, settings.dashboard
    sessions = Sessions.derive(secret, dashboard.session_s) if dashboard.enabled else None
    limits = Limits(
        connections_max=http.connections_max,
        body_bytes_max=http.receive_bytes_max,
        head_s=http.head_timeout_s,
        body_s=http.body_timeout_s,
        idle_s=http.idle_timeout_s,
    )
    return FrontSettings(http.address, http.allowed_origins, http.streams_per_key_max, limits, shared, sessions)
