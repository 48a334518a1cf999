"""`trunkline credits`: giving and correcting credits, and looking at them. Amounts are exact decimal text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
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


def once(command: Command) -> Command:
    """Gives a command that moves money the option that makes a second call harmless."""
    told = "The same id counts once, however often it is sent.  [default: a new one]"
    return click.option("--request-id", default=lambda: uuid4().hex, metavar="ID", help=told)(command)


@click.group("credits")
def command() -> None:
    """Grant and correct credits, look at accounts, prove the books."""


@command.command("grant")
@click.argument("amount", type=Credits())
@of_account
@click.option("--reason", default="", help="Why; stands in the ledger.")
@click.option("--until", type=click.DateTime(), help="When what is left of them is taken back, in UTC; default: never.")
@once
@as_json_option
@to_gateway
def grant(gateway: Gateway, /, *, until: datetime | None, as_json: bool, **fields: Any) -> None:
    """Give credits to an account; a provider or model opens an account of its own for it."""
    request = credits_pb2.GrantCreditsRequest(**fields)
    if until is not None:
        request.expire_time.FromDatetime(until.replace(tzinfo=UTC))
    answer = gateway.call(_credits(gateway).GrantCredits, request)
    show_fields(answer.account, _ACCOUNT, as_json=as_json)


@command.command("adjust", context_settings={"ignore_unknown_options": True})
@click.argument("amount", type=Credits())
@of_account
@click.option("--reason", required=True, help="Why; stands in the ledger.")
@once
@as_json_option
@to_gateway
def adjust(gateway: Gateway, /, *, as_json: bool, **fields: Any) -> None:
    """Correct a balance, up or down; an AMOUNT below zero takes, past the account's limit if need be."""
    answer = gateway.call(_credits(gateway).AdjustCredits, credits_pb2.AdjustCreditsRequest(**fields))
    show_fields(answer.account, _ACCOUNT, as_json=as_json)


@command.command("refund")
@click.argument("subject_id", metavar="CHARGE")
@click.option("--amount", type=Credits(), help="How much; default: all that is left of the charge.")
@click.option("--reason", default="", help="Why; stands in the ledger.")
@once
@as_json_option
@to_gateway
def refund(gateway: Gateway, /, *, as_json: bool, **fields: Any) -> None:
    """Give back what the completion or reservation CHARGE was charged, or a part of it."""
    answer = gateway.call(_credits(gateway).RefundCredits, credits_pb2.RefundCreditsRequest(**fields))
    show((answer.entry,), _ENTRY, as_json=as_json)


@command.command("update")
@of_account
@click.option("--overdraft", "overdraft_limit", type=Credits(), help="How far below zero the account may go.")
@click.option("--low", "low_balance", type=Credits(), help="Below this balance it counts as low; 0: never.")
@click.option("--unlimited/--limited", default=None, help="Whether its calls are never refused for credits.")
@as_json_option
@to_gateway
def update(gateway: Gateway, /, *, as_json: bool, **fields: Any) -> None:
    """Change what an account may do; what is not given stays as it is."""
    _update(gateway, as_json=as_json, **fields)


@command.command("suspend")
@of_account
@as_json_option
@to_gateway
def suspend(gateway: Gateway, /, *, as_json: bool, **account: Any) -> None:
    """Refuse an account's new calls; those that run go on."""
    _update(gateway, as_json=as_json, suspended=True, **account)


@command.command("resume")
@of_account
@as_json_option
@to_gateway
def resume(gateway: Gateway, /, *, as_json: bool, **account: Any) -> None:
    """Allow a suspended account's calls again."""
    _update(gateway, as_json=as_json, suspended=False, **account)


@command.command("accounts")
@click.option("--user", "user_id", default="", metavar="USER", help="Only this user's.")
@listing()
@to_gateway
def accounts(gateway: Gateway, /, *, user_id: str, limit: int | None, as_json: bool) -> None:
    """List the accounts, oldest first."""
    request = credits_pb2.ListAccountsRequest(user_id=user_id)
    pages = gateway.pages(_credits(gateway).ListAccounts, request, limit)
    show((account for page in pages for account in page.accounts), _ACCOUNTS, as_json=as_json)


@command.command("audit")
@click.option("--quick", is_flag=True, help="Only what came since the last good audit, as the gateway does by itself.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def audit(ctx: click.Context, *, quick: bool, as_json: bool) -> None:
    """Prove that the books add up, in the database of the settings; exit with 1 where they do not."""
    from trunkline_server.cli import auditing  # noqa: PLC0415 - the database, which no other command here needs

    ctx.exit(auditing.run(whole=not quick, as_json=as_json))


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


def _update(gateway: Gateway, *, as_json: bool, **fields: Any) -> None:
    answer = gateway.call(_credits(gateway).UpdateAccount, credits_pb2.UpdateAccountRequest(**fields))
    show_fields(answer.account, _ACCOUNT, as_json=as_json)


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
    "expiring": lambda account: when(account.credits_expire_time),
}
_ACCOUNTS = {name.upper(): cell for name, cell in _ACCOUNT.items()}
_ENTRY = {
    "WHEN": lambda entry: when(entry.create_time),
    "CREDITS": lambda entry: amount(entry.amount),
    "KIND": lambda entry: credits_pb2.LedgerEntryKind.Name(entry.kind).removeprefix("LEDGER_ENTRY_KIND_").lower(),
    "SUBJECT": lambda entry: entry.subject_id,
    "REASON": lambda entry: entry.reason,
}
