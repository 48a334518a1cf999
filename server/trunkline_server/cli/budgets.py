"""`trunkline budgets`: how much may be spent in an hour, day or month, and what was spent until now."""

from __future__ import annotations

from typing import Any

import click

from trunkline.v1 import limits_pb2, limits_pb2_grpc, usage_pb2
from trunkline_server.cli.choosing import chosen, who
from trunkline_server.cli.credits import Credits
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.models import ListGroup
from trunkline_server.cli.rows import amount as shown
from trunkline_server.cli.rows import as_json_option, listing, show, show_fields, when
from trunkline_server.core import money

PERIODS = ("hour", "day", "month")


@click.group("budgets", cls=ListGroup)
def command() -> None:
    """Set budgets, and see what was spent of them. Alone it lists."""


@command.command("list")
@listing()
@to_gateway
def list_(gateway: Gateway, /, *, limit: int | None, as_json: bool) -> None:
    """List the budgets."""
    pages = gateway.pages(_limits(gateway).ListBudgets, limits_pb2.ListBudgetsRequest(), limit)
    show((budget for page in pages for budget in page.budgets), _COLUMNS, as_json=as_json)


@command.command("spent")
@as_json_option
@to_gateway
def spent(gateway: Gateway, /, *, as_json: bool) -> None:
    """List what was spent in the windows of now."""
    pages = gateway.pages(_limits(gateway).ListBudgets, limits_pb2.ListBudgetsRequest(), None)
    show((window for page in pages for window in page.windows), WINDOW_COLUMNS, as_json=as_json)


@command.command("set")
@click.argument("name")
@click.argument("amount", type=Credits())
@click.argument("period", type=click.Choice(PERIODS))
@click.option("--usd", is_flag=True, help="AMOUNT is in US dollars of providers' cost, not in credits.")
@click.option("--hard", is_flag=True, help="Refuse calls that could spend more.")
@click.option("--zone", "time_zone", default="", help="Time zone of its calendar.  [default: UTC]")
@click.option("--threshold", "thresholds", type=int, multiple=True, help="A percent to note.  [default: 50, 80, 100]")
@click.option("--spike", "spike_percent", default=0, metavar="PERCENT", help="Note more than this of the average.")
@chosen
@as_json_option
@to_gateway
def set_(
    gateway: Gateway, /, *, amount: usage_pb2.Amount, period: str, usd: bool, as_json: bool, **fields: Any
) -> None:
    """Let AMOUNT be spent in each PERIOD by whom the options choose: without any, by all of the tenant's together."""
    selector = {name: fields.pop(name) for name in limits_pb2.LimitSelector.DESCRIPTOR.fields_by_name}
    budget = limits_pb2.Budget(
        period=limits_pb2.BudgetPeriod.Value(f"BUDGET_PERIOD_{period.upper()}"),
        amount=money.usd(amount.nanos) if usd else amount,
        selector=limits_pb2.LimitSelector(**selector),
        **fields,
    )
    answer = gateway.call(_limits(gateway).SetBudget, limits_pb2.SetBudgetRequest(budget=budget))
    show_fields(answer.budget, _COLUMNS, as_json=as_json)


@command.command("delete")
@click.argument("name")
@to_gateway
def delete(gateway: Gateway, /, *, name: str) -> None:
    """Take a budget away."""
    gateway.call(_limits(gateway).DeleteBudget, limits_pb2.DeleteBudgetRequest(name=name))
    click.echo(f"{name} is gone")


def _limits(gateway: Gateway) -> limits_pb2_grpc.LimitServiceStub:
    return limits_pb2_grpc.LimitServiceStub(gateway.channel)


_COLUMNS = {
    "NAME": lambda budget: budget.name,
    "AMOUNT": lambda budget: shown(budget.amount),
    "UNIT": lambda budget: budget.amount.unit,
    "PERIOD": lambda budget: limits_pb2.BudgetPeriod.Name(budget.period).removeprefix("BUDGET_PERIOD_").lower(),
    "ZONE": lambda budget: budget.time_zone,
    "KIND": lambda budget: "hard" if budget.hard else "soft",
    "WHO": lambda budget: who(budget.selector),
}
WINDOW_COLUMNS = {
    "BUDGET": lambda window: window.budget,
    "WHO": lambda window: who(window.subject),
    "SPENT": lambda window: shown(window.spent),
    "HELD": lambda window: shown(window.held),
    "REMAINING": lambda window: shown(window.remaining),
    "UNIT": lambda window: window.spent.unit,
    "ENDS": lambda window: when(window.end_time),
    "NOTED": lambda window: " ".join(
        [*(f"{percent}%" for percent in window.thresholds_passed), *(["spike"] if window.spiked else [])]
    ),
}
