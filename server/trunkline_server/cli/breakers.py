"""`trunkline breakers`: which providers get no calls, and an operator's hand on that."""

from __future__ import annotations

import click

from trunkline.v1 import providers_pb2, providers_pb2_grpc
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.providers import listed
from trunkline_server.cli.rows import listing, show, when

OWN = click.option("--own", is_flag=True, help="That of the tenant's own key there.")


@click.group("breakers")
def command() -> None:
    """List, open and reset circuit breakers."""


@command.command("list")
@listing()
@to_gateway
def list_(gateway: Gateway, /, *, limit: int | None, as_json: bool) -> None:
    """List the breakers: of each provider's key, and of the models that were asked for; of own keys as well."""
    providers = listed(gateway, None)
    told = [health for each in providers for health in (each.health, each.own_health)]
    breakers = [breaker for health in told for breaker in health.breakers]
    show(breakers[:limit], _COLUMNS, as_json=as_json)


@command.command("reset")
@click.argument("name")
@OWN
@to_gateway
def reset(gateway: Gateway, /, *, name: str, own: bool) -> None:
    """Close the breaker NAME (`provider/model`, or `provider`), and forget what it counted."""
    method = providers_pb2_grpc.ProviderServiceStub(gateway.channel).ResetBreaker
    _say(gateway.call(method, providers_pb2.ResetBreakerRequest(name=name, own=own)).breaker)


@command.command("open")
@click.argument("name")
@OWN
@to_gateway
def open_(gateway: Gateway, /, *, name: str, own: bool) -> None:
    """Open the breaker NAME (`provider/model`, or `provider`) until it is reset."""
    method = providers_pb2_grpc.ProviderServiceStub(gateway.channel).OpenBreaker
    _say(gateway.call(method, providers_pb2.OpenBreakerRequest(name=name, own=own)).breaker)


def _say(breaker: providers_pb2.Breaker) -> None:
    click.echo(f"{breaker.name} is {state(breaker)}")


def state(breaker: providers_pb2.Breaker) -> str:
    """In a word."""
    name = providers_pb2.BreakerState.Name(breaker.state)
    return name.removeprefix("BREAKER_STATE_").lower().replace("_", "-")


_COLUMNS = {
    "BREAKER": lambda breaker: breaker.name,
    "KEY": lambda breaker: "own" if breaker.own else "gateway",
    "STATE": state,
    "CALLS": lambda breaker: str(breaker.call_count),
    "FAILED": lambda breaker: str(breaker.failure_count),
    "SLOW": lambda breaker: str(breaker.slow_count),
    "NEXT PROBE": lambda breaker: when(breaker.probe_time),
}
