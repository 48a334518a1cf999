"""The audit of the books as a command: straight at the database, so that it proves them whatever a gateway says."""

from __future__ import annotations

import asyncio

import click
import msgspec

from trunkline_server.cli import settings
from trunkline_server.cli.database import connecting_told, database
from trunkline_server.config import Settings
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.reconciliation import Audit, examine


def run(*, whole: bool, as_json: bool) -> int:
    """The exit code: 1 where something does not add up."""
    with connecting_told():
        found = asyncio.run(_examined(settings.load(), whole=whole))
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        _tell(found)
    return 1 if found.findings else 0


async def _examined(given: Settings, *, whole: bool) -> Audit:
    async with database(given) as url:
        opened = await Database.open(DatabaseSettings(url, acquire_timeout_s=5))
        try:
            return await examine(opened, whole=whole)
        finally:
            await opened.close()


def _tell(found: Audit) -> None:
    for finding in found.findings:
        click.echo(f"{finding.rule}  {finding.subject}  {finding.detail}")
    looked = f"{found.accounts} accounts, {found.transfers} transfers, {found.duration_ms} ms"
    verdict = f"{len(found.findings)} findings" if found.findings else "the books add up"
    click.echo(f"{verdict} ({looked})", err=True)
