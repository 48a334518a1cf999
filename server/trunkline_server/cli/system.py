"""`trunkline system`: how a replica does."""

from __future__ import annotations

import click

from trunkline.v1 import admin_pb2, admin_pb2_grpc
from trunkline_server.cli.breakers import state
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.rows import as_json_option, show_fields

MIB = 2**20


@click.group("system")
def command() -> None:
    """Tell how a replica does."""


@command.command("health")
@click.option("--detailed", is_flag=True, help="Tell of the connections to each provider as well.")
@as_json_option
@to_gateway
def health(gateway: Gateway, /, *, detailed: bool, as_json: bool) -> None:
    """Tell what the replica uses, how its connections are, and what is wrong. Exits with 1 when something is."""
    method = admin_pb2_grpc.AdminServiceStub(gateway.channel).GetSystemHealth
    told = gateway.call(method, admin_pb2.GetSystemHealthRequest()).health
    show_fields(told, _FIELDS | _DETAILS if detailed else _FIELDS, as_json=as_json)
    raise click.exceptions.Exit(1 if told.problems else 0)


def _status(told: admin_pb2.SystemHealth) -> str:
    return admin_pb2.SystemStatus.Name(told.status).removeprefix("SYSTEM_STATUS_").lower()


def _problems(told: admin_pb2.SystemHealth) -> str:
    names = map(admin_pb2.SystemProblem.Name, told.problems)
    return ", ".join(name.removeprefix("SYSTEM_PROBLEM_").lower() for name in names)


def _database(told: admin_pb2.SystemHealth) -> str:
    database = told.database
    if not database.ok:
        return "does not answer"
    kind = "embedded" if database.embedded else "external"
    in_use = database.connection_count - database.idle_connection_count
    micros = database.round_trip.ToMicroseconds()
    return f"{kind}, answers in {micros / 1000:.1f} ms, {in_use} of {database.max_connection_count} connections in use"


def _pool(pool: admin_pb2.ProviderPool) -> str:
    return (
        f"{pool.provider}: {pool.in_use_count} of {pool.max_count} in use, {pool.idle_count} idle, "
        f"{pool.exchange_count} exchanges, {pool.reused_share:.0%} over kept connections"
    )


_FIELDS = {
    "status": _status,
    "problems": _problems,
    "up for": lambda told: f"{told.uptime.seconds} s",
    "memory": lambda told: f"{told.resident_memory_bytes / MIB:.0f} MiB",
    "processors": lambda told: f"{told.cpu_load:.2f} of {told.cpu_count} in use",
    "disk": lambda told: f"{told.disk_free_bytes / MIB:.0f} of {told.disk_size_bytes / MIB:.0f} MiB free",
    "calls": lambda told: f"{told.live_call_count} running",
    "database": _database,
    "breakers": lambda told: "; ".join(f"{each.name} is {state(each)}" for each in told.breakers),
    "failing": lambda told: "; ".join(
        f"{each.provider}: {each.failure_kind}" for each in told.provider_checks if each.failure_kind
    ),
}
_DETAILS = {"providers": lambda told: "; ".join(map(_pool, told.provider_pools))}
