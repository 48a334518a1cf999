"""`trunkline limits`: how many calls and tokens callers may use in a time, and how many calls may run at once."""

from __future__ import annotations

from datetime import timedelta

import click

from trunkline.v1 import limits_pb2, limits_pb2_grpc
from trunkline_server.cli.choosing import chosen, who
from trunkline_server.cli.duration import Duration, told
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.models import ListGroup
from trunkline_server.cli.rows import as_json_option, listing, show, show_fields

UNITS = ("requests", "tokens", "concurrency")
ALGORITHMS = ("token-bucket", "fixed-window", "sliding-window")


@click.group("limits", cls=ListGroup)
def command() -> None:
    """Limit requests, tokens and calls at once. Alone it lists."""


@command.command("list")
@listing()
@to_gateway
def list_(gateway: Gateway, /, *, limit: int | None, as_json: bool) -> None:
    """List the rate limits."""
    pages = gateway.pages(_limits(gateway).ListRateLimits, limits_pb2.ListRateLimitsRequest(), limit)
    show((each for page in pages for each in page.rate_limits), _COLUMNS, as_json=as_json)


@command.command("set")
@click.argument("name")
@click.argument("amount", type=click.IntRange(min=1))
@click.argument("unit", type=click.Choice(UNITS))
@click.option("--per", "window", type=Duration(), help="The time in which so much may be used, such as 60s.")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), help="How it counts.  [default: token-bucket]")
@click.option("--burst", default=0, help="What a token bucket lets through at once.  [default: AMOUNT]")
@chosen
@as_json_option
@to_gateway
def set_(
    gateway: Gateway,
    /,
    *,
    name: str,
    amount: int,
    unit: str,
    window: timedelta | None,
    algorithm: str | None,
    burst: int,
    as_json: bool,
    **selector: str,
) -> None:
    """Let AMOUNT of UNIT through, for whom the options choose: without any, for all of the tenant's calls together."""
    limit = limits_pb2.RateLimit(
        name=name,
        selector=limits_pb2.LimitSelector(**selector),
        unit=limits_pb2.LimitUnit.Value(f"LIMIT_UNIT_{unit.upper()}"),
        amount=amount,
        window=told(window),
        algorithm=_algorithm(algorithm),
        burst=burst,
    )
    answer = gateway.call(_limits(gateway).SetRateLimit, limits_pb2.SetRateLimitRequest(rate_limit=limit))
    show_fields(answer.rate_limit, _COLUMNS, as_json=as_json)


@command.command("delete")
@click.argument("name")
@to_gateway
def delete(gateway: Gateway, /, *, name: str) -> None:
    """Take a rate limit away."""
    gateway.call(_limits(gateway).DeleteRateLimit, limits_pb2.DeleteRateLimitRequest(name=name))
    click.echo(f"{name} is gone")


def _limits(gateway: Gateway) -> limits_pb2_grpc.LimitServiceStub:
    return limits_pb2_grpc.LimitServiceStub(gateway.channel)


def _algorithm(typed: str | None) -> limits_pb2.LimitAlgorithm.ValueType:
    if typed is None:
        return limits_pb2.LIMIT_ALGORITHM_UNSPECIFIED
    return limits_pb2.LimitAlgorithm.Value(f"LIMIT_ALGORITHM_{typed.replace('-', '_').upper()}")


def _word(name: str, prefix: str) -> str:
    word = name.removeprefix(prefix).lower().replace("_", "-")
    return "" if word == "unspecified" else word


_COLUMNS = {
    "NAME": lambda limit: limit.name,
    "AMOUNT": lambda limit: str(limit.amount),
    "UNIT": lambda limit: _word(limits_pb2.LimitUnit.Name(limit.unit), "LIMIT_UNIT_"),
    "PER": lambda limit: f"{limit.window.ToTimedelta().total_seconds():g}s" if limit.HasField("window") else "",
    "ALGORITHM": lambda limit: _word(limits_pb2.LimitAlgorithm.Name(limit.algorithm), "LIMIT_ALGORITHM_"),
    "WHO": lambda limit: who(limit.selector),
}
