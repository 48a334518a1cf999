"""Repricing as a command: in the database of the settings, by the prices of settings, files and `SetPrice`."""

from __future__ import annotations

import asyncio
from datetime import datetime

import click

from trunkline_server.cli import settings
from trunkline_server.cli.database import connecting_told, database
from trunkline_server.config import Settings
from trunkline_server.core.learned import Learned
from trunkline_server.core.money import to_decimal_text
from trunkline_server.gateway.repricing import Changes, Repricing
from trunkline_server.house.routing import catalogue_of
from trunkline_server.store.accounts import NewAccounts
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.ledger import Ledger, LedgerSettings
from trunkline_server.store.prices import Prices


def run(start: datetime, end: datetime, *, dry: bool) -> None:
    """Tells a line for each model and pair of prices."""
    with connecting_told():
        changes = asyncio.run(_changes(settings.load(), start, end, dry=dry))
    for (model, before, after), change in sorted(changes.items()):
        cost, charge = to_decimal_text(change.cost_nano_usd), to_decimal_text(change.charge_nanos)
        lost = f", {change.lost} too old to change" if change.lost else ""
        click.echo(
            f"{model}  {before or 'no price'} -> {after}  {change.calls} calls  {cost} USD  {charge} credits{lost}"
        )
    if not changes:
        click.echo("every call has the price of its time", err=True)


async def _changes(given: Settings, start: datetime, end: datetime, *, dry: bool) -> Changes:
    async with database(given) as url:
        opened = await Database.open(DatabaseSettings(url, command_timeout_s=30, acquire_timeout_s=5))
        ledger = await Ledger.open(opened, LedgerSettings(NewAccounts(0)))
        try:
            catalogue = catalogue_of(given).with_learned(Learned(prices=await Prices(opened).all()))
            rate_nanos = given.credits.per_usd_nanos
            return await Repricing(opened, ledger, catalogue, rate_nanos).run(start, end, dry=dry)
        finally:
            await ledger.close()
            await opened.close()
