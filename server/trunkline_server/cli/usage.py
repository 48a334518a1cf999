"""`trunkline usage`: what calls used and cost, from the row that each leaves behind."""

from __future__ import annotations

import click

from trunkline.v1 import analytics_pb2, analytics_pb2_grpc
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.rows import amount, listing, show
from trunkline_server.cli.selecting import BY, named, selecting, selection


@click.group("usage")
def command() -> None:
    """Sum up what calls used and cost."""


@command.command("report")
@selecting
@click.option("--by", multiple=True, type=click.Choice(BY), help="A row for each; again for more.  [default: model]")
@listing()
@to_gateway
def report(
    gateway: Gateway, /, *, days: int, by: tuple[str, ...], limit: int | None, as_json: bool, **fields: str
) -> None:
    """What was called, what providers take for it, and what was charged."""
    request = analytics_pb2.GetCostsRequest(selection=selection(by or ("model",), days, **fields))
    pages = gateway.pages(analytics_pb2_grpc.AnalyticsServiceStub(gateway.channel).GetCosts, request, limit)
    show((row for page in pages for row in page.rows), _COLUMNS, as_json=as_json)


_COLUMNS = {
    "OF": lambda row: named(row.group) or "all",
    "CALLS": lambda row: str(row.call_count),
    "USD": lambda row: amount(row.cost),
    "CREDITS": lambda row: amount(row.charge),
}
