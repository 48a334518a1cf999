"""`trunkline quota`: what a call would still be allowed."""

from __future__ import annotations

import click

from trunkline.v1 import limits_pb2, limits_pb2_grpc
from trunkline_server.cli.budgets import WINDOW_COLUMNS
from trunkline_server.cli.choosing import chosen, who
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.rows import as_json_option, show, show_json, when


@click.command("quota")
@chosen
@as_json_option
@to_gateway
def command(gateway: Gateway, /, *, as_json: bool, **subject: str) -> None:
    """Show what is left of the limits and budgets that a call comes under."""
    stub = limits_pb2_grpc.LimitServiceStub(gateway.channel)
    quota = gateway.call(stub.GetQuota, limits_pb2.GetQuotaRequest(**subject))
    if as_json:
        return show_json(quota)
    show(quota.rate_quotas, _COLUMNS, as_json=False)
    if quota.budget_windows:
        show(quota.budget_windows, WINDOW_COLUMNS, as_json=False)
    if quota.degraded:
        click.echo("Redis does not answer: this replica counts its share of each limit", err=True)
    return None


_COLUMNS = {
    "LIMIT": lambda quota: quota.rate_limit.name,
    "LEFT": lambda quota: str(quota.remaining),
    "OF": lambda quota: str(quota.rate_limit.amount),
    "UNIT": lambda quota: limits_pb2.LimitUnit.Name(quota.rate_limit.unit).removeprefix("LIMIT_UNIT_").lower(),
    "ALL BACK": lambda quota: when(quota.refill_time),
    "WHO": lambda quota: who(quota.rate_limit.selector),
}
