"""`trunkline providers`: which are on, whether they answer, and how they do."""

from __future__ import annotations

from collections.abc import Sequence

import click

from trunkline.v1 import providers_pb2, providers_pb2_grpc
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.rows import listing, show, when


@click.group("providers")
def command() -> None:
    """List the providers, test them, and see how they do."""


@command.command("list")
@listing()
@to_gateway
def list_(gateway: Gateway, /, *, limit: int | None, as_json: bool) -> None:
    """List the providers, those that are off included."""
    show(listed(gateway, limit), _COLUMNS, as_json=as_json)


@command.command("test")
@click.argument("names", nargs=-1)
@to_gateway
def test(gateway: Gateway, /, *, names: tuple[str, ...]) -> None:
    """Ask providers whether they answer and take the key: all that are on, or those named. Costs nothing.

    Exits with 1 when one of them does not.
    """
    tested = [_test(gateway, name) for name in names or _enabled(gateway)]
    raise click.exceptions.Exit(0 if all(tested) else 1)


@command.command("health")
@listing()
@to_gateway
def health(gateway: Gateway, /, *, limit: int | None, as_json: bool) -> None:
    """Tell how the providers that are on did in the last five minutes."""
    show([each.health for each in listed(gateway, limit) if each.enabled], _HEALTH, as_json=as_json)


def _test(gateway: Gateway, name: str) -> bool:
    method = providers_pb2_grpc.ProviderServiceStub(gateway.channel).TestProvider
    result = gateway.call(method, providers_pb2.TestProviderRequest(name=name))
    click.echo(f"{name}: {_outcome(result)} in {result.duration.ToMilliseconds()} ms")
    return result.ok


def _outcome(result: providers_pb2.TestProviderResponse) -> str:
    if result.ok:
        return f"ok, {result.model_count} models"
    return f"{result.failure_kind}{f' (HTTP {result.http_status})' if result.http_status else ''}"


def _enabled(gateway: Gateway) -> Sequence[str]:
    return [provider.name for provider in listed(gateway, None) if provider.enabled]


def listed(gateway: Gateway, limit: int | None) -> Sequence[providers_pb2.Provider]:
    """All providers, by name."""
    method = providers_pb2_grpc.ProviderServiceStub(gateway.channel).ListProviders
    pages = gateway.pages(method, providers_pb2.ListProvidersRequest(), limit)
    return [provider for page in pages for provider in page.providers]


_COLUMNS = {
    "PROVIDER": lambda provider: provider.name,
    "WIRE": lambda provider: provider.wire,
    "STATE": lambda provider: "on" if provider.enabled else f"off: {provider.disabled_reason}",
}

_HEALTH = {
    "PROVIDER": lambda health: health.provider,
    "CALLS": lambda health: str(health.attempt_count),
    "FAILED": lambda health: str(health.failure_count),
    "SUCCESS": lambda health: f"{health.success_rate:.1%}" if health.HasField("success_rate") else "",
    "FIRST WORD": lambda health: _ms(health, "first_token_latency"),
    "ANSWER": lambda health: _ms(health, "answer_latency"),
    "LAST CHECK": lambda health: when(health.last_check_time),
    "LAST FAILURE": lambda health: f"{health.last_failure_kind} {when(health.last_failure_time)}".strip(),
}


def _ms(health: providers_pb2.ProviderHealth, field: str) -> str:
    return f"{getattr(health, field).ToMilliseconds()} ms" if health.HasField(field) else ""  # type: ignore[arg-type]
