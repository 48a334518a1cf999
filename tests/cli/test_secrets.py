"""`secrets rotate-kek` and the accounts of `providers`: keys go in, and stay in."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode

import pytest

from tests.cli.conftest import Called, Typed
from tests.fixtures.gateway import StartGateway
from trunkline_server.core.sealing import KeyRing
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.installation import installation_secret
from trunkline_server.store.provider_accounts import Actor, ProviderAccounts
from trunkline_server.store.tenant_keys import TenantKeys
from trunkline_server.store.tenants import Tenants

KEY = "sk-canary-of-acme"
KEK = {f"TRUNKLINE_SECRETS__KEK__{version}": b64encode(bytes([version]) * 32).decode() for version in (1, 2)}


async def seal_one(url: str) -> None:
    """As a gateway without `secrets.kek` does it."""
    database = await Database.open(DatabaseSettings(url, command_timeout_s=10))
    try:
        tenant_id = (await Tenants(database).create("acme")).tenant_id
        keys = TenantKeys(database, KeyRing.of({}, await installation_secret(database)))
        await ProviderAccounts(database, keys).create(Actor(tenant_id, "", ""), "openai", "a", KEY, make_default=True)
    finally:
        await database.close()


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
    assert refused.exit_code == 1
    assert "VALIDATION: api_key: " in refused.stderr
