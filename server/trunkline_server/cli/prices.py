"""`trunkline prices`: what providers charge. A price that is set follows the others; none is ever changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import click

from trunkline.v1 import models_pb2, models_pb2_grpc, usage_pb2
from trunkline_server.cli.failure import Misuse
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.rows import listing, show, told_price, when
from trunkline_server.core import money


@click.group("prices")
def command() -> None:
    """List and set prices, and charge the past by them."""


@command.command("list")
@click.option("--provider", default="", help="Only this provider's.")
@listing()
@to_gateway
def list_(gateway: Gateway, /, *, provider: str, limit: int | None, as_json: bool) -> None:
    """List the prices of all times, in US dollars for a million units."""
    method = models_pb2_grpc.ModelServiceStub(gateway.channel).ListPrices
    pages = gateway.pages(method, models_pb2.ListPricesRequest(provider=provider), limit)
    show((price for page in pages for price in page.prices), _COLUMNS, as_json=as_json)


@command.command("set")
@click.argument("model")
@click.option("--input", "input_price", help="US dollars for a million input tokens.")
@click.option("--output", "output_price", help="US dollars for a million output tokens.")
@click.option("--unit", "others", multiple=True, metavar="UNIT=PRICE", help="Another unit, such as cached_input=1.25.")
@click.option("--from", "begin", type=click.DateTime(), help="From when it counts, in UTC; default: from now.")
@click.option("--source", default="", help="Where the numbers come from.")
@to_gateway
def set_(
    gateway: Gateway,
    /,
    *,
    model: str,
    input_price: str | None,
    output_price: str | None,
    others: tuple[str, ...],
    begin: datetime | None,
    source: str,
) -> None:
    """Say what MODEL, as provider/model, costs from a moment on.

    Give every unit: none is taken from the price before.
    """
    given = {"input": input_price, "output": output_price}
    units = [*(f"{unit}={price}" for unit, price in given.items() if price is not None), *others]
    provider, _, name = model.partition("/")
    if not (provider and name):
        raise Misuse(f"MODEL is provider/model, not {model!r}")
    if not units:
        raise Misuse("give --input, --output or --unit: what it costs")
    request = models_pb2.SetPriceRequest(provider=provider, model=name, units=_units(units), source=source)
    if begin is not None:
        request.effective_time.FromDatetime(begin.replace(tzinfo=UTC))
    answer = gateway.call(models_pb2_grpc.ModelServiceStub(gateway.channel).SetPrice, request)
    click.echo(f"{model} costs {told_price(answer.price)} from {when(answer.price.effective_time)} on")


@command.command("reprice")
@click.option("--from", "begin", type=click.DateTime(), required=True, help="From when on, in UTC.")
@click.option("--to", "end", type=click.DateTime(), help="Until when, in UTC; default: now.")
@click.option("--dry-run", is_flag=True, help="Only say what it would change.")
def reprice(*, begin: datetime, end: datetime | None, dry_run: bool) -> None:
    """Charge the calls of a time by the prices that are known now.

    What a call was charged stays in the ledger; the difference is posted, up or down, once for each price. It works in
    the database of the settings.
    """
    from trunkline_server.cli import repricing  # noqa: PLC0415 - half of the gateway, which no other command here needs

    until = end.replace(tzinfo=UTC) if end else datetime.now(UTC)
    repricing.run(begin.replace(tzinfo=UTC), until, dry=dry_run)


def _units(given: list[str]) -> Iterator[models_pb2.UnitPrice]:
    for each in given:
        unit, _, price = each.partition("=")
        try:
            nanos = money.from_decimal_text(price)
        except ValueError as error:
            raise Misuse(f"{unit}: {error}") from None
        yield models_pb2.UnitPrice(unit=unit, per_million=usage_pb2.Amount(unit=money.USD, nanos=nanos))


_COLUMNS = {
    "MODEL": lambda price: f"{price.provider}/{price.model}",
    "VERSION": lambda price: price.price_version,
    "FROM": lambda price: when(price.effective_time),
    "USD PER MILLION": told_price,
    "SOURCE": lambda price: price.source,
}
