"""`trunkline secrets`: the keys that tenants' secrets are sealed under."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias
from uuid import UUID

import click

from trunkline_server.cli import settings
from trunkline_server.cli.database import database, failures_told
from trunkline_server.cli.failure import Failure
from trunkline_server.config import Settings
from trunkline_server.core import ids
from trunkline_server.core.sealing import KeyRing, SealBroken
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.installation import installation_secret
from trunkline_server.store.provider_accounts import ProviderAccounts
from trunkline_server.store.tenant_keys import TenantKeys

TIMEOUT_S = 60.0

Work: TypeAlias = Callable[[Database, TenantKeys], Awaitable[int]]


@click.group("secrets")
def command() -> None:
    """Rotate the key that tenants' secrets are sealed under."""


@command.command("rotate-kek")
def rotate_kek() -> None:
    """Wrap every tenant's key with the newest of `secrets.kek`.

    Every replica must know the newest before, and the older ones until this is done.
    """
    given = settings.load()
    count = _done(given, lambda _, keys: keys.rewrap())
    newest = max(given.secrets.keys, default=0)
    click.echo(f"{count} tenants' keys are newly wrapped, all with version {newest}")


@command.command("rotate-dek")
@click.option("--tenant", "tenant", metavar="TENANT_ID", help="Of this tenant alone.")
def rotate_dek(tenant: str | None) -> None:
    """Give tenants another key, and seal their keys at providers with it anew.

    Other secrets are sealed with it when they are next replaced.
    """
    tenant_id = _tenant_id(tenant) if tenant else None
    count = _done(settings.load(), lambda opened, keys: _renewed(ProviderAccounts(opened, keys), keys, tenant_id))
    click.echo(f"{count} keys at providers are newly sealed")


async def _renewed(accounts: ProviderAccounts, keys: TenantKeys, tenant_id: UUID | None) -> int:
    count = 0
    for each in await keys.tenants(tenant_id):
        await keys.renew(each)
        count += await accounts.reseal(each)
    return count


def _tenant_id(text: str) -> UUID:
    tenant_id = ids.parse("tnt", text)
    if tenant_id is None:
        raise click.BadParameter("must be the id of a tenant, tnt_...", param_hint="--tenant")
    return tenant_id


def _done(given: Settings, work: Work) -> int:
    with failures_told():
        try:
            return asyncio.run(_worked(given, work))
        except SealBroken:
            raise Failure("secrets.kek: lacks the key that tenants' keys are wrapped with; put it back first") from None


async def _worked(given: Settings, work: Work) -> int:
    async with _opened(given) as opened:
        secret = given.auth.pepper.encode() + await installation_secret(opened)
        return await work(opened, TenantKeys(opened, KeyRing.of(given.secrets.keys, secret)))


@asynccontextmanager
async def _opened(given: Settings) -> AsyncIterator[Database]:
    async with database(given) as url:
        opened = await Database.open(DatabaseSettings(url, command_timeout_s=TIMEOUT_S))
        try:
            yield opened
        finally:
            await opened.close()
