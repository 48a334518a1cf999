"""`trunkline providers`: which are on, whether they answer and how they do, and the tenant's own accounts there.

A key is read from standard input or asked for: arguments are seen by everybody on the machine, and kept by shells.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from trunkline.v1 import providers_pb2, providers_pb2_grpc
from trunkline_server.cli.failure import Misuse
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.rows import listing, show, when


@click.group("providers")
def command() -> None:
    """List the providers, test them, see how they do, and keep accounts of one's own there."""


@command.command("list")
@listing()
@to_gateway
def list_(gateway: Gateway, /, *, limit: int | None, as_json: bool) -> None:
    """List the providers, those that are off included."""
    show(listed(gateway, limit), _COLUMNS, as_json=as_json)


@command.command("test")
@click.argument("names", nargs=-1)
@click.option("--all", "everyone", is_flag=True, help="All that are on, as without any name.")
@to_gateway
def test(gateway: Gateway, /, *, names: tuple[str, ...], everyone: bool) -> None:
    """Ask providers whether they answer and take the key: all that are on, or those named. Costs nothing.

    Exits with 1 when one of them does not.
    """
    tested = [_test(gateway, name) for name in (() if everyone else names) or _enabled(gateway)]
    raise click.exceptions.Exit(0 if all(tested) else 1)


@command.command("health")
@listing()
@to_gateway
def health(gateway: Gateway, /, *, limit: int | None, as_json: bool) -> None:
    """Tell how the providers that are on did in the last five minutes."""
    show([each.health for each in listed(gateway, limit) if each.enabled], _HEALTH, as_json=as_json)


@command.command("accounts")
@listing()
@to_gateway
def accounts(gateway: Gateway, /, *, limit: int | None, as_json: bool) -> None:
    """List the tenant's own accounts, without their keys."""
    pages = gateway.pages(_stub(gateway).ListProviderAccounts, providers_pb2.ListProviderAccountsRequest(), limit)
    show((account for page in pages for account in page.accounts), _ACCOUNT_COLUMNS, as_json=as_json)


@command.command("add-account")
@click.argument("provider")
@click.argument("name")
@click.option("--default", "make_default", is_flag=True, help="Let calls use it; the first account is used anyway.")
@click.option("--test", "test_first", is_flag=True, help="Keep the key only where the provider takes it.")
@to_gateway
def add_account(gateway: Gateway, /, *, provider: str, name: str, make_default: bool, test_first: bool) -> None:
    """Keep a key of one's own at a provider; it is read from standard input, and never shown again."""
    request = providers_pb2.CreateProviderAccountRequest(
        provider=provider, name=name, api_key=_read_key(), make_default=make_default, test_first=test_first
    )
    _tell(gateway.call(_stub(gateway).CreateProviderAccount, request).account)


@command.command("rotate-account")
@click.argument("account_id")
@click.option("--test", "test_first", is_flag=True, help="Keep the key only where the provider takes it.")
@to_gateway
def rotate_account(gateway: Gateway, /, *, account_id: str, test_first: bool) -> None:
    """Give an account another key, which is read from standard input."""
    request = providers_pb2.RotateProviderAccountRequest(
        account_id=account_id, api_key=_read_key(), test_first=test_first
    )
    _tell(gateway.call(_stub(gateway).RotateProviderAccount, request).account)


@command.command("use-account")
@click.argument("account_id")
@to_gateway
def use_account(gateway: Gateway, /, *, account_id: str) -> None:
    """Let the tenant's calls use this account."""
    request = providers_pb2.SetDefaultProviderAccountRequest(account_id=account_id)
    _tell(gateway.call(_stub(gateway).SetDefaultProviderAccount, request).account)


@command.command("delete-account")
@click.argument("account_id")
@to_gateway
def delete_account(gateway: Gateway, /, *, account_id: str) -> None:
    """Forget an account and its key."""
    gateway.call(
        _stub(gateway).DeleteProviderAccount, providers_pb2.DeleteProviderAccountRequest(account_id=account_id)
    )
    click.echo(f"{account_id} is gone")


def _read_key() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("key", hide_input=True, err=True)).strip()
    key = sys.stdin.readline().strip()
    if not key:
        raise Misuse("there is no key on standard input")
    return key


def _tell(account: providers_pb2.ProviderAccount) -> None:
    used = ", used by calls" if account.is_default else ""
    click.echo(f"{account.account_id} ({account.provider}, {account.name}{used})")


def _stub(gateway: Gateway) -> providers_pb2_grpc.ProviderServiceStub:
    return providers_pb2_grpc.ProviderServiceStub(gateway.channel)


def _test(gateway: Gateway, name: str) -> bool:
    result = gateway.call(_stub(gateway).TestProvider, providers_pb2.TestProviderRequest(name=name))
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
    pages = gateway.pages(_stub(gateway).ListProviders, providers_pb2.ListProvidersRequest(), limit)
    return [provider for page in pages for provider in page.providers]


_COLUMNS = {
    "PROVIDER": lambda provider: provider.name,
    "WIRE": lambda provider: provider.wire,
    "STATE": lambda provider: "on" if provider.enabled else f"off: {provider.disabled_reason}",
}
_ACCOUNT_COLUMNS = {
    "ACCOUNT": lambda account: account.account_id,
    "PROVIDER": lambda account: account.provider,
    "NAME": lambda account: account.name,
    "USED": lambda account: "by calls" if account.is_default else "",
    "MADE": lambda account: when(account.create_time),
    "ROTATED": lambda account: when(account.rotate_time),
}


def _least_left(health: providers_pb2.ProviderHealth) -> str:
    """Of the provider's own limits, the one that is used most."""
    limit = min(health.limits, key=lambda limit: limit.remaining / limit.amount, default=None)
    return f"{limit.remaining} of {limit.amount} {limit.unit} ({limit.model})" if limit else ""


_HEALTH = {
    "PROVIDER": lambda health: health.provider,
    "CALLS": lambda health: str(health.attempt_count),
    "FAILED": lambda health: str(health.failure_count),
    "SUCCESS": lambda health: f"{health.success_rate:.1%}" if health.HasField("success_rate") else "",
    "FIRST WORD": lambda health: _ms(health, "first_token_latency"),
    "ANSWER": lambda health: _ms(health, "answer_latency"),
    "LEAST LEFT": _least_left,
    "LAST CHECK": lambda health: when(health.last_check_time),
    "LAST FAILURE": lambda health: f"{health.last_failure_kind} {when(health.last_failure_time)}".strip(),
}


def _ms(health: providers_pb2.ProviderHealth, field: str) -> str:
    return f"{getattr(health, field).ToMilliseconds()} ms" if health.HasField(field) else ""  # type: ignore[arg-type]
