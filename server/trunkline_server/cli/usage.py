"""`trunkline usage`: what calls used and cost, from the row that each leaves behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from trunkline.v1 import analytics_pb2, analytics_pb2_grpc
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.rows import amount, listing, show

BY: Final = ("day", "user", "provider", "model", "operation", "key")


@click.group("usage")
def command() -> None:
    """Sum up what calls used and cost."""


@command.command("report")
@click.option("--user", "user_id", default="", metavar="USER", help="Only this user's.")
@click.option("--provider", default="", help="Only of this provider.")
@click.option("--model", default="", help="Only of this model, as the provider calls it.")
@click.option("--operation", default="", help="Only what was done so, such as chat.")
@click.option("--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="The days up to now.")
@click.option("--by", multiple=True, type=click.Choice(BY), help="A row for each; again for more.  [default: model]")
@listing()
@to_gateway
def report(
    gateway: Gateway, /, *, days: int, by: tuple[str, ...], limit: int | None, as_json: bool, **fields: Any
) -> None:
    """What was called, what providers take for it, and what was charged."""
    group_by = [analytics_pb2.Dimension.Value(f"DIMENSION_{name.upper()}") for name in by or ("model",)]
    selection = analytics_pb2.CallSelection(group_by=group_by, **fields)
    selection.start_time.FromDatetime(datetime.now(UTC) - timedelta(days=days))
    method = analytics_pb2_grpc.AnalyticsServiceStub(gateway.channel).GetCosts
    pages = gateway.pages(method, analytics_pb2.GetCostsRequest(selection=selection), limit)
    show((row for page in pages for row in page.rows), _COLUMNS, as_json=as_json)


def _name(row: analytics_pb2.CostRow) -> str:
    group = row.group
    model = "/".join(filter(None, (group.provider, group.model)))
    return " ".join(filter(None, (group.day, group.user_id, model, group.operation, group.key_id))) or "all"


_COLUMNS = {
    "OF": _name,
    "CALLS": lambda row: str(row.call_count),
    "USD": lambda row: amount(row.cost),
    "CREDITS": lambda row: amount(row.charge),
}
