"""`trunkline schedules`: what one replica does for all, straight from the database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, TypeVar

import click

from trunkline_server.cli import settings
from trunkline_server.cli.database import database, failures_told
from trunkline_server.cli.failure import Failure
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.schedules import ScheduleRow, Schedules

TIMEOUT_S: Final = 10.0
ROW: Final = "{:<16} {:>9} {:<21} {:<21} {:>6}  {}"

Result = TypeVar("Result")


@click.group("schedules")
def command() -> None:
    """List the work that is done again and again, and have it done now."""


@command.command("list")
def list_() -> None:
    """List schedules: how often, when last, when next, how it went."""
    rows = _asked(Schedules.all)
    click.echo(ROW.format("SCHEDULE", "EVERY", "LAST", "NEXT", "RUNS", "FAILURE"))
    for row in rows:
        click.echo(_line(row).rstrip())


@command.command("run")
@click.argument("name")
def run(name: str) -> None:
    """Have NAME done now, by whichever replica is there first."""
    if not _asked(lambda schedules: schedules.hurry(name)):
        raise Failure(f"there is no schedule {name!r}; see `trunkline schedules list`")
    click.echo(f"{name} is due now")


def _asked(question: Callable[[Schedules], Awaitable[Result]]) -> Result:
    async def ask() -> Result:
        async with database(given) as url:
            opened = await Database.open(DatabaseSettings(url, command_timeout_s=TIMEOUT_S))
            try:
                return await question(Schedules(opened))
            finally:
                await opened.close()

    given = settings.load()
    with failures_told():
        return asyncio.run(ask())


def _line(row: ScheduleRow) -> str:
    return ROW.format(
        row.name, f"{row.every_s:.0f} s", _when(row.begun_at), _when(row.next_at), row.run_count, row.failure
    )


def _when(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%SZ}" if moment else ""
