"""`trunkline credits`: giving credits, and looking at what became of them. Amounts are exact decimal text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import uuid4

import click

from trunkline.v1 import credits_pb2, credits_pb2_grpc, usage_pb2
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.rows import amount, as_json_option, listing, show, show_fields, when
from trunkline_server.core import money

ENTRIES_SHOWN = 50

Command = TypeVar("Command", bound=Callable[..., Any])


class Credits(click.ParamType[usage_pb2.Amount]):
    """A plain decimal with at most nine places."""

    name = "amount"

    def convert(
        self, value: str | usage_pb2.Amount, param: click.Parameter | None, ctx: click.Context | None
    ) -> usage_pb2.Amount:
        if isinstance(value, usage_pb2.Amount):
            return value
        try:
            return money.credits(money.from_decimal_text(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def of_account(command: Command) -> Command:
    """Gives a command the options that say which account."""
    options = (
        click.option("--account", "account_id", default="", metavar="ID", help="The account."),
        click.option("--user", "user_id", default="", metavar="USER", help="Its user; default: the caller's own."),
        click.option("--provider", default="", help="The account kept for this provider."),
        click.option("--model", default="", help="The account kept for this model of the provider."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group("credits")
def command() -> None:
    """Grant credits, and look at accounts."""


@command.command("grant")
@click.argument("amount", type=Credits())
@of_account
@click.option("--reason", default="", help="Why; stands in the ledger.")
@click.option("--request-id", default="", metavar="ID", help="The same id grants once, however often it is sent.")
@as_json_option
@to_gateway
def grant(gateway: Gateway, /, *, request_id: str, as_json: bool, **fields: Any) -> None:
    """Give credits to an account; a provider or model opens an account of its own for it."""
    request = credits_pb2.GrantCreditsRequest(request_id=request_id or uuid4().hex, **fields)
    answer = gateway.call(_credits(gateway).GrantCredits, request)
    show_fields(answer.account, _ACCOUNT, as_json=as_json)


@command.command("balance")
@of_account
@as_json_option
@to_gateway
def balance(gateway: Gateway, /, *, as_json: bool, **account: Any) -> None:
    """Show what an account has."""
    answer = gateway.call(_credits(gateway).GetBalance, credits_pb2.GetBalanceRequest(**account))
    show_fields(answer.account, _ACCOUNT, as_json=as_json)


@command.command("entries")
@of_account
@listing(ENTRIES_SHOWN)
@to_gateway
def entries(gateway: Gateway, /, *, limit: int, as_json: bool, **account: Any) -> None:
    """List the movements of an account, newest first."""
    request = credits_pb2.ListLedgerEntriesRequest(**account)
    pages = gateway.pages(_credits(gateway).ListLedgerEntries, request, limit)
    show((entry for page in pages for entry in page.entries), _ENTRY, as_json=as_json)


def _credits(gateway: Gateway) -> credits_pb2_grpc.CreditServiceStub:
    return credits_pb2_grpc.CreditServiceStub(gateway.channel)


def _available(account: credits_pb2.Account) -> str:
    return "unlimited" if account.unlimited else amount(account.available)


_ACCOUNT = {
    "account": lambda account: account.account_id,
    "user": lambda account: account.user_id,
    "provider": lambda account: account.provider,
    "model": lambda account: account.model,
    "balance": lambda account: amount(account.balance),
    "held": lambda account: amount(account.held),
    "available": _available,
    "state": lambda account: "suspended" if account.suspended else "low" if account.is_low else "open",
}
_ENTRY = {
    "WHEN": lambda entry: when(entry.create_time),
    "CREDITS": lambda entry: amount(entry.amount),
    "KIND": lambda entry: credits_pb2.LedgerEntryKind.Name(entry.kind).removeprefix("LEDGER_ENTRY_KIND_").lower(),
    "SUBJECT": lambda entry: entry.subject_id,
    "REASON": lambda entry: entry.reason,
}
