"""`secrets rotate-kek`, `rotate-dek` and the accounts of `providers`: keys go in, and stay in."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from tests.cli.conftest import Called, Typed
from tests.fixtures.gateway import StartGateway
from trunkline_server.core import ids
from trunkline_server.core.sealing import KeyRing
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.installation import installation_secret
from trunkline_server.store.provider_accounts import Actor, ProviderAccounts
from trunkline_server.store.tenant_keys import TenantKeys
from trunkline_server.store.tenants import Tenants

KEY = "sk-canary-of-acme"
KEK = {f"TRUNKLINE_SECRETS__KEK__{version}": b64encode(bytes([version]) * 32).decode() for version in (1, 2)}


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[Database, ProviderAccounts]]:
    """As a gateway without `secrets.kek` has it."""
    database = await Database.open(DatabaseSettings(url, command_timeout_s=10))
    try:
        keys = TenantKeys(database, KeyRing.of({}, await installation_secret(database)))
        yield database, ProviderAccounts(database, keys)
    finally:
        await database.close()


async def seal_one(url: str, tenant: str = "acme") -> UUID:
    """A tenant that has an account."""
    async with opened(url) as (database, accounts):
        tenant_id = (await Tenants(database).create(tenant)).tenant_id
        await accounts.create(Actor(tenant_id, "", ""), "openai", "a", KEY, make_default=True)
        return tenant_id


async def sealed_ones(url: str) -> list[tuple[int, str]]:
    """The version of the key that each is sealed with, and what is in it."""
    async with opened(url) as (database, accounts):
        rows = await database.fetch("SELECT * FROM provider_account ORDER BY create_time")
        return [(row["key_version"], await accounts.api_key(row["tenant_id"], row["account_id"])) for row in rows]


def test_wrapping_anew(typed: Typed, postgres_url: str) -> None:
    asyncio.run(seal_one(postgres_url))
    given = {"TRUNKLINE_DATABASE_URL": postgres_url}
    assert typed("secrets", "rotate-kek", given={**given, **KEK}).stdout == (
        "1 tenants' keys are newly wrapped, all with version 2\n"
    )
    assert typed("secrets", "rotate-kek", given={**given, **KEK}).stdout.startswith("0 tenants' keys")
    lacking = typed("secrets", "rotate-kek", given=given)
    assert (lacking.exit_code, lacking.stdout) == (1, "")
    assert lacking.stderr.startswith("trunkline: secrets.kek: lacks the key")


def test_sealing_anew(typed: Typed, postgres_url: str) -> None:
    first, _ = (asyncio.run(seal_one(postgres_url, tenant)) for tenant in ("acme", "other"))
    given = {"TRUNKLINE_DATABASE_URL": postgres_url}
    assert typed("secrets", "rotate-dek", given=given).stdout == "2 keys at providers are newly sealed\n"
    tenant = ids.spell("tnt", first)
    assert typed("secrets", "rotate-dek", "--tenant", tenant, given=given).stdout.startswith("1 keys at providers")
    assert asyncio.run(sealed_ones(postgres_url)) == [(3, KEY), (2, KEY)]
    assert typed("secrets", "rotate-dek", "--tenant", "acme", given=given).exit_code == 2


@pytest.mark.parametrize("key", ["short", "!" * 44, b64encode(b"k" * 31).decode()])
def test_a_key_of_keys_that_is_none(typed: Typed, key: str) -> None:
    refused = typed("config", "check", given={"TRUNKLINE_SECRETS__KEK__1": key})
    assert refused.exit_code == 2
    assert "secrets.kek: each must be 32 bytes in base64" in refused.stderr
    assert key not in refused.output


def test_the_key_of_keys_is_masked(typed: Typed) -> None:
    told = typed("config", "check", given=KEK)
    assert 'secrets.kek = "***"' in told.stdout
    assert not any(key in told.output for key in KEK.values())


async def test_the_life_of_an_account(start_gateway: StartGateway, typed: Typed) -> None:
    gateway = await start_gateway({"OPENAI_API_KEY": "sk-gateway"})
    given = {"TRUNKLINE_ADDRESS": gateway.house.grpc_address, "TRUNKLINE_API_KEY": gateway.key}

    async def told(*arguments: str, stdin: str = "") -> str:
        result = await asyncio.to_thread(typed, *arguments, given=given, stdin=stdin)
        assert result.exit_code == 0, result.output
        assert "sk-" not in result.output
        return result.stdout

    made = await told("providers", "add-account", "openai", "main", stdin=f"{KEY}\n")
    account_id = made.split()[0]
    assert made == f"{account_id} (openai, main, used by calls)\n"
    other = (await told("providers", "add-account", "openai", "other", stdin=f"{KEY}\n")).split()[0]
    assert await told("providers", "use-account", other) == f"{other} (openai, other, used by calls)\n"
    assert await told("providers", "rotate-account", account_id, stdin="sk-new\n") == f"{account_id} (openai, main)\n"
    rows = [json.loads(line) for line in (await told("providers", "accounts", "--json")).splitlines()]
    assert [(row["name"], "rotateTime" in row, row.get("isDefault", False)) for row in rows] == [
        ("main", True, False),
        ("other", False, True),
    ]
    assert await told("providers", "delete-account", account_id) == f"{account_id} is gone\n"


async def test_a_key_that_is_missing(called: Called) -> None:
    refused = await called("providers", "add-account", "openai", "main")
    assert (refused.exit_code, refused.stderr) == (2, "trunkline: there is no key on standard input\n")
