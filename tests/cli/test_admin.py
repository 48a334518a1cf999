"""`keys`, `tenants`, `models` and `providers` against a real gateway."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.cli.conftest import Called, CalledAt, Typed
from tests.fixtures.dialects import DIALECTS
from tests.fixtures.gateway import RunningGateway, StartGateway
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream
from trunkline.v1 import admin_pb2


def _objects(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


async def test_the_life_of_a_key(called: Called) -> None:
    made = await called("keys", "create", "app", "--scope", "chat:*", "--model", "sandbox/*", "--expires", "1d")
    secret = made.stdout.strip()
    key_id = made.stderr.split()[0]
    assert (await called("chat", "--key", secret, "hi")).stdout == "hi\n"

    rotated = await called("keys", "rotate", key_id, "--overlap", "0s")
    assert rotated.stdout.strip() != secret
    assert (await called("chat", "--key", rotated.stdout.strip(), "hi")).stdout == "hi\n"

    assert (await called("keys", "revoke", key_id)).stdout == f"{key_id} is revoked\n"

    async def is_refused() -> bool:
        tried = await called("chat", "--key", rotated.stdout.strip(), "hi")
        return tried.exit_code == 1 and tried.stderr.startswith("trunkline: AUTH_REVOKED: ")

    await until(is_refused)  # every replica hears of it within a second


async def test_keys_are_listed_without_secrets(called: Called, gateway: RunningGateway) -> None:
    made = await called("keys", "create", "app", "--expires", "2h")
    listed = await called("keys", "list")
    assert listed.stdout.splitlines()[0].split()[:3] == ["KEY", "NAME", "SCOPES"]
    assert "chat:* models:read" in listed.stdout
    assert "expires 20" in listed.stdout
    for secret in (made.stdout.strip(), gateway.key):
        assert secret not in listed.output
    names = [key["name"] for key in _objects((await called("keys", "list", "--json")).stdout)]
    assert names == ["admin", "app"]


async def test_a_key_for_another_tenant(called: Called) -> None:
    tenant_id = (await called("tenants", "create", "acme")).stdout.strip()
    secret = (await called("keys", "create", "first", "--scope", "keys:admin", "--tenant", tenant_id)).stdout.strip()
    [key] = _objects((await called("keys", "list", "--json", "--key", secret)).stdout)
    assert key["tenantId"] == tenant_id


async def test_a_key_that_may_not_is_told_so(called: Called) -> None:
    secret = (await called("keys", "create", "app")).stdout.strip()
    refused = await called("keys", "list", "--key", secret)
    assert refused.exit_code == 1
    assert refused.stderr == "trunkline: SCOPE_MISSING: the API key lacks the scope 'keys:admin'\n"


async def test_without_a_key_says_how_to_give_one(gateway: RunningGateway, typed: Typed) -> None:
    refused = await asyncio.to_thread(typed, "keys", "list", "--address", gateway.house.grpc_address)
    assert refused.stderr.startswith("trunkline: AUTH_MISSING: give --key, set TRUNKLINE_API_KEY")


async def test_tenants(called: Called) -> None:
    made = _objects((await called("tenants", "create", "acme", "--json")).stdout)[0]
    rows = (await called("tenants", "list")).stdout.splitlines()
    assert [row.split()[1] for row in rows] == ["NAME", "default", "acme"]
    assert made in _objects((await called("tenants", "list", "--json")).stdout)
    again = await called("tenants", "create", "acme")
    assert again.stderr.startswith("trunkline: RESOURCE_EXISTS: ")


async def test_a_limit_holds_over_pages(
    called: Called, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline_server.cli.gateway.PAGE_SIZE", 2)
    for name in ("a", "b", "c", "d"):
        await gateway.admin.CreateTenant(admin_pb2.CreateTenantRequest(name=name), metadata=gateway.metadata())

    async def names(*options: str) -> list[object]:
        return [tenant["name"] for tenant in _objects((await called("tenants", "list", "--json", *options)).stdout)]

    assert await names() == ["default", "a", "b", "c", "d"]
    assert await names("--limit", "3") == ["default", "a", "b"]
    assert await names("--limit", "2") == ["default", "a"]


async def test_models(called: Called) -> None:
    rows = (await called("models", "--provider", "sandbox")).stdout.splitlines()
    echo = next(row for row in rows if row.startswith("sandbox/echo "))
    assert echo.split()[3:5] == ["1", "2"]
    assert "chat stream tools" in echo
    assert {model["provider"] for model in _objects((await called("models", "--json")).stdout)} == {"sandbox"}


async def test_providers(called: Called) -> None:
    rows = (await called("providers", "list")).stdout
    assert "off: it needs an API key (OPENAI_API_KEY)" in rows
    assert [row.split()[-1] for row in rows.splitlines() if row.startswith("sandbox")] == ["on"]


async def test_testing_all_providers_that_are_on(called: Called) -> None:
    tested = await called("providers", "test")
    assert (await called("providers", "test", "--all")).exit_code == tested.exit_code
    assert tested.exit_code == 0
    assert tested.stdout.startswith("sandbox: ok, ")
    assert tested.stdout.count("\n") == 1


async def test_testing_one_that_is_off(called: Called) -> None:
    tested = await called("providers", "test", "sandbox", "openai")
    assert tested.exit_code == 1
    assert tested.stdout.startswith("sandbox: ok, ")
    assert tested.stderr.startswith("trunkline: PROVIDER_DISABLED: ")


async def test_testing_one_that_does_not_take_the_key(start_gateway: StartGateway, typed: Typed) -> None:
    async with Upstream() as upstream:
        upstream.reply(status=401, json={"error": {"message": "no", "code": "invalid_api_key"}})
        environment = {"OPENAI_API_KEY": "wrong", "OPENAI_BASE_URL": upstream.url}
        gateway = await start_gateway(environment)
        given = {"TRUNKLINE_ADDRESS": gateway.house.grpc_address, "TRUNKLINE_API_KEY": gateway.key}
        tested = await asyncio.to_thread(typed, "providers", "test", "openai", given=given)
    assert tested.exit_code == 1
    assert tested.stdout.startswith("openai: AUTH (HTTP 401) in ")


async def test_how_providers_do(called: Called) -> None:
    assert (await called("chat", "hi")).exit_code == 0
    rows = (await called("providers", "health")).stdout.splitlines()
    assert rows[0].split()[:4] == ["PROVIDER", "CALLS", "FAILED", "SUCCESS"]
    assert rows[1].split()[:4] == ["sandbox", "1", "0", "100.0%"]
    [told] = _objects((await called("providers", "health", "--json")).stdout)
    assert (told["provider"], told["attemptCount"]) == ("sandbox", "1")


async def test_breakers(called: Called) -> None:
    opened = await called("breakers", "open", "sandbox/echo")
    assert opened.stdout == "sandbox/echo is open\n"
    rows = [row.split()[:3] for row in (await called("breakers", "list")).stdout.splitlines()]
    gateways = [["sandbox/echo", "gateway", "open"], ["sandbox", "gateway", "closed"]]
    assert rows == [["BREAKER", "KEY", "STATE"], *gateways]
    refused = await called("chat", "--model", "sandbox/echo", "hi")
    assert refused.stderr.startswith("trunkline: CIRCUIT_OPEN: ")
    assert (await called("breakers", "reset", "sandbox/echo")).stdout == "sandbox/echo is closed\n"
    assert (await called("chat", "--model", "sandbox/echo", "hi")).stdout == "hi\n"
    assert (await called("breakers", "reset", "--own", "sandbox/echo")).exit_code == 1
    missing = await called("breakers", "reset", "nobody")
    assert missing.stderr.startswith("trunkline: RESOURCE_NOT_FOUND: ")


async def test_how_the_replica_does(called: Called) -> None:
    told = await called("system", "health")
    assert told.exit_code == 0
    assert "status      ok" in told.stdout
    assert "external, answers in" in told.stdout
    assert "problems" not in told.stdout
    await called("breakers", "open", "sandbox/echo")
    told = await called("system", "health")
    assert told.exit_code == 1
    assert "problems    breakers" in told.stdout
    assert "sandbox/echo is open" in told.stdout
    assert json.loads((await called("system", "health", "--json")).stdout)["status"] == "SYSTEM_STATUS_DEGRADED"


async def test_how_its_connections_do(start_gateway: StartGateway, called_at: CalledAt) -> None:
    async with Upstream() as upstream:
        upstream.respond(lambda _: upstream.whole(json=DIALECTS[0].whole("yes", 1)))
        called = called_at(await start_gateway(DIALECTS[0].environment(upstream.url)))
        for _ in range(2):
            await called("chat", "--no-stream", "--model", DIALECTS[0].name, "hi")
        assert "providers" not in (await called("system", "health")).stdout
        told = (await called("system", "health", "--detailed")).stdout
    assert "openai: 0 of 256 in use, 1 idle, 2 exchanges, 50% over kept connections" in told
