"""`trunkline secrets`: the keys that tenants' secrets are sealed under."""

from __future__ import annotations

import asyncio

import click

from trunkline_server.cli import settings
from trunkline_server.cli.database import database, failures_told
from trunkline_server.cli.failure import Failure
from trunkline_server.config import Settings
from trunkline_server.core.sealing import KeyRing, SealBroken
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.installation import installation_secret
from trunkline_server.store.tenant_keys import TenantKeys

TIMEOUT_S = 60.0


@click.group("secrets")
def command() -> None:
    """Rotate the key that tenants' secrets are sealed under."""


@command.command("rotate-kek")
def rotate_kek() -> None:
    """Wrap every tenant's key with the newest of `secrets.kek`.

    Every replica must know the newest before, and the older ones until this is done.
    """
    given = settings.load()
    with failures_told():
        try:
            count = asyncio.run(_rewrapped(given))
        except SealBroken:
            raise Failure("secrets.kek: lacks the key that tenants' keys are wrapped with; put it back first") from None
    newest = max(given.secrets.keys, default=0)
    click.echo(f"{count} tenants' keys are newly wrapped, all with version {newest}")


async def _rewrapped(given: Settings) -> int:
    async with database(given) as url:
        opened = await Database.open(DatabaseSettings(url, command_timeout_s=TIMEOUT_S))
        try:
            secret = given.auth.pepper.encode() + await installation_secret(opened)
            return await TenantKeys(opened, KeyRing.of(given.secrets.keys, secret)).rewrap()
        finally:
            await opened.close()
