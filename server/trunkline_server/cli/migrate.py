"""`trunkline migrate`: the database to the schema of this version, without starting the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import click

from trunkline_server.cli import settings
from trunkline_server.cli.database import connecting_told, database, is_there
from trunkline_server.config import Settings
from trunkline_server.store import migrate


@click.command("migrate")
@click.option("--check", is_flag=True, help="Change nothing; list what is pending, and exit with 1 if anything is.")
@click.pass_context
def command(ctx: click.Context, *, check: bool) -> None:
    """Bring the database to the schema of this version.

    `trunkline serve` does it too; this is for those who want it done before.
    """
    given = settings.load()
    with connecting_told():
        names = _pending(given) if check else _run(given, migrate.migrate)
    for name in names:
        click.echo(name)
    if not names:
        click.echo("nothing is pending", err=True)
    ctx.exit(1 if check and names else 0)


def _pending(given: Settings) -> list[str]:
    if not is_there(given):
        return [migration.name for migration in migrate.bundled()]  # no need to make a database to see that it is empty
    return _run(given, migrate.pending)


def _run(given: Settings, verb: Callable[[str], Awaitable[list[str]]]) -> list[str]:
    async def run() -> list[str]:
        async with database(given, may_make=True) as url:
            return await verb(url)

    return asyncio.run(run())
