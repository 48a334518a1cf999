"""Which calls a report is of: options that its commands share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import click

from trunkline.v1 import analytics_pb2

Command = TypeVar("Command", bound=Any)

BY: Final = ("day", "hour", "user", "provider", "model", "operation", "key")
BY_NO_TIME: Final = BY[2:]


def selecting(command: Command) -> Command:
    """Gives a command the options that `selection` takes."""
    options = (
        click.option("--user", "user_id", default="", metavar="USER", help="Only this user's."),
        click.option("--provider", default="", help="Only of this provider."),
        click.option("--model", default="", help="Only of this model, as the provider calls it."),
        click.option("--operation", default="", help="Only what was done so, such as chat."),
        click.option("--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="The days up to now."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def selection(by: tuple[str, ...], days: int, **fields: Any) -> analytics_pb2.CallSelection:
    """Of the days up to now."""
    group_by = [analytics_pb2.Dimension.Value(f"DIMENSION_{name.upper()}") for name in by]
    selected = analytics_pb2.CallSelection(group_by=group_by, **fields)
    selected.start_time.FromDatetime(datetime.now(UTC) - timedelta(days=days))
    return selected


def named(group: analytics_pb2.Group) -> str:
    """What the calls of a row have in common, in one line."""
    model = "/".join(filter(None, (group.provider, group.model)))
    return " ".join(filter(None, (group.hour or group.day, group.user_id, model, group.operation, group.key_id)))
