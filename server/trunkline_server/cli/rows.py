"""Rows on the terminal: a table for people, or one JSON object a line for programs (proto's own JSON)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import click
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from trunkline.v1 import models_pb2, usage_pb2
from trunkline_server.cli.plain import one_line, shown
from trunkline_server.core.money import to_decimal_text

WIDTH_UNBOUND: Final = 10_000
"""A pipe has no width: nothing may be wrapped or cut there."""

Row = TypeVar("Row", bound=Message)
Command = TypeVar("Command", bound=Callable[..., Any])
as_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


def listing(limit: int | None = None) -> Callable[[Command], Command]:
    """Gives a list command the options `--json` and `--limit`."""
    told = f"At most this many rows.  [default: {limit or 'all'}]"
    option = click.option("--limit", type=click.IntRange(min=1), default=limit, help=told)
    return lambda command: option(as_json_option(command))


def show(rows: Iterable[Row], columns: Mapping[str, Callable[[Row], str]], *, as_json: bool) -> None:
    """Print all of them."""
    if as_json:
        for row in rows:
            show_json(row)
    else:
        _show_table([[one_line(cell(row)) for cell in columns.values()] for row in rows], list(columns))


def show_fields(message: Row, columns: Mapping[str, Callable[[Row], str]], *, as_json: bool) -> None:
    """Print one thing, a field a line; empty ones are left out."""
    if as_json:
        return show_json(message)
    width = max(map(len, columns))
    for name, cell in columns.items():
        if value := one_line(cell(message)):
            click.echo(f"{name:<{width}}  {value}")
    return None


def show_json(message: Message) -> None:
    """Print one object on one line."""
    click.echo(shown(MessageToJson(message, indent=None, ensure_ascii=False)))


def when(time: Timestamp) -> str:
    """A moment as people read it, in UTC; empty where it is unset."""
    return f"{time.ToDatetime():%Y-%m-%d %H:%M:%SZ}" if time.seconds else ""


def amount(value: usage_pb2.Amount) -> str:
    """A number of credits or dollars; the column says which."""
    return to_decimal_text(value.nanos)


def told_price(price: models_pb2.Price) -> str:
    """What a million of each unit costs, in dollars."""
    tiers = ((each, f" from {each.from_input_tokens}" if each.from_input_tokens else "") for each in price.units)
    return ", ".join(f"{each.unit}{tier} {amount(each.per_million)}" for each, tier in tiers)


def _show_table(rows: list[list[str]], titles: list[str]) -> None:
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second that JSON need not wait for
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_UNBOUND)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:  # names and ids are copied from here: the first column stays whole, the others fold
        table.add_column(title, no_wrap=title == titles[0], overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    with console.capture() as capture:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))
