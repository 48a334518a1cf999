"""Tenants' own accounts at providers, over sockets: whose key goes out, and that none ever comes back."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc import StatusCode
from grpc.aio import AioRpcError

from tests.fixtures.gateway import RunningGateway, StartGateway, question
from tests.fixtures.refusal import Refusal, invalid, refusal, refusal_of
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream
from trunkline.v1 import admin_pb2, chat_pb2, models_pb2, providers_pb2
from trunkline_server.house.start import StartError
from trunkline_server.store.database import Database

GATEWAYS = "sk-key-of-the-gateway"
OWN = "sk-canary4e9a-own"
NOT_FOUND = Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")
BYOK_INVALID = Refusal("FAILED_PRECONDITION", "BYOK_INVALID")
MODEL = "openai/gpt-4o"


@dataclass
class Desk:
    """A gateway, the provider behind it, and the keys of tenants there."""

    gateway: RunningGateway
    openai: Upstream

    async def tenant(self, name: str) -> str:
        """An API key of a new tenant that may do everything."""
        return await tenant_key(self.gateway, name)

    async def add(self, key: str, name: str = "main", api_key: str = OWN, **more: Any) -> providers_pb2.ProviderAccount:
        request = providers_pb2.CreateProviderAccountRequest(provider="openai", name=name, api_key=api_key, **more)
        created = await self.gateway.providers.CreateProviderAccount(request, metadata=self.gateway.metadata(key=key))
        return created.account

    async def ask(self, key: str, model: str = MODEL) -> str:
        """Makes a call; the key that went to the provider."""
        self.openai.reply(json={"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]})
        request = chat_pb2.CompleteRequest(input=question("hello", model))
        await self.gateway.chat.Complete(request, metadata=self.gateway.metadata(key=key))
        return self.sent()

    def sent(self) -> str:
        return self.openai.requests[-1].headers["authorization"].removeprefix("Bearer ")

    async def call(self, method: str, key: str, request: Message) -> Any:
        return await getattr(self.gateway.providers, method)(request, metadata=self.gateway.metadata(key=key))

    async def delete(self, key: str, account_id: str) -> None:
        request = providers_pb2.DeleteProviderAccountRequest(account_id=account_id)
        await self.call("DeleteProviderAccount", key, request)

    async def rotate(self, key: str, account_id: str, api_key: str, **more: Any) -> providers_pb2.ProviderAccount:
        request = providers_pb2.RotateProviderAccountRequest(account_id=account_id, api_key=api_key, **more)
        response: providers_pb2.RotateProviderAccountResponse = await self.call("RotateProviderAccount", key, request)
        return response.account

    async def test(self, key: str, account_id: str) -> providers_pb2.TestProviderResponse:
        request = providers_pb2.TestProviderRequest(name="openai", account_id=account_id)
        response: providers_pb2.TestProviderResponse = await self.call("TestProvider", key, request)
        return response

    async def listed(self, key: str) -> list[providers_pb2.ProviderAccount]:
        request = providers_pb2.ListProviderAccountsRequest()
        return list((await self.call("ListProviderAccounts", key, request)).accounts)


async def tenant_key(gateway: RunningGateway, name: str) -> str:
    tenant = admin_pb2.CreateTenantRequest(name=name)
    tenant_id = (await gateway.admin.CreateTenant(tenant, metadata=gateway.metadata())).tenant.tenant_id
    request = admin_pb2.CreateApiKeyRequest(name="all", scopes=["*"], tenant_id=tenant_id)
    return (await gateway.admin.CreateApiKey(request, metadata=gateway.metadata())).secret


@pytest.fixture
async def desk(start_gateway: StartGateway, openai: Upstream) -> Desk:
    """A gateway with a key of its own at `openai`."""
    environment = {"OPENAI_API_KEY": GATEWAYS, "OPENAI_BASE_URL": f"{openai.url}/v1"}
    return Desk(await start_gateway(environment), openai)


@pytest.fixture
async def keyless(start_gateway: StartGateway, openai: Upstream) -> Desk:
    """A gateway without one."""
    return Desk(await start_gateway({"OPENAI_BASE_URL": f"{openai.url}/v1"}), openai)


async def test_a_tenant_s_calls_go_out_with_its_own_key_and_others_do_not(desk: Desk) -> None:
    acme, other = await desk.tenant("acme"), await desk.tenant("other")
    assert await desk.ask(acme) == GATEWAYS
    account = await desk.add(acme)
    assert (account.provider, account.name, account.is_default) == ("openai", "main", True)
    assert [await desk.ask(key) for key in (acme, other, acme)] == [OWN, GATEWAYS, OWN]
    await desk.delete(acme, account.account_id)
    assert await desk.ask(acme) == GATEWAYS


async def test_streams_use_it_too(desk: Desk) -> None:
    acme = await desk.tenant("acme")
    await desk.add(acme)
    desk.openai.stream(
        [b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n"]
    )
    request = chat_pb2.StreamRequest(input=question("hello", MODEL))
    call = desk.gateway.chat.Stream(request, metadata=desk.gateway.metadata(key=acme))
    assert [response.event.WhichOneof("event") async for response in call][-1] == "completed"
    assert desk.sent() == OWN


async def test_rotating_replaces_the_key_on_every_replica(desk: Desk, start_gateway: StartGateway) -> None:
    environment = {"OPENAI_API_KEY": GATEWAYS, "OPENAI_BASE_URL": f"{desk.openai.url}/v1"}
    replica = Desk(await start_gateway(environment), desk.openai)
    acme = await desk.tenant("acme")
    account = await desk.add(acme)

    async def sends(key: str) -> bool:
        try:
            return await replica.ask(acme) == key
        except AioRpcError as error:  # the account is gone, and the replica has just found out
            if error.code() is not StatusCode.UNAVAILABLE:
                raise
            return False

    await until(lambda: sends(OWN), 5)
    assert (await desk.rotate(acme, account.account_id, "sk-new")).HasField("rotate_time")
    assert await desk.ask(acme) == "sk-new"
    await until(lambda: sends("sk-new"), 5)
    await desk.delete(acme, account.account_id)
    await until(lambda: sends(GATEWAYS), 5)


async def test_the_default_account_is_the_one_that_is_used(desk: Desk) -> None:
    acme = await desk.tenant("acme")
    await desk.add(acme, "one", "sk-one")
    two = await desk.add(acme, "two", "sk-two")
    assert await desk.ask(acme) == "sk-one"
    request = providers_pb2.SetDefaultProviderAccountRequest(account_id=two.account_id)
    assert (await desk.call("SetDefaultProviderAccount", acme, request)).account.is_default
    assert await desk.ask(acme) == "sk-two"
    await desk.add(acme, "three", "sk-three", make_default=True)
    assert await desk.ask(acme) == "sk-three"
    assert [(each.name, each.is_default) for each in await desk.listed(acme)] == [
        ("one", False),
        ("two", False),
        ("three", True),
    ]


async def test_a_provider_for_which_the_gateway_has_no_key(keyless: Desk) -> None:
    acme, other = await keyless.tenant("acme"), await keyless.tenant("other")
    await keyless.add(acme)
    assert await keyless.ask(acme) == await keyless.ask(acme, "gpt-4o") == OWN
    assert await refusal(keyless.ask(other)) == Refusal("FAILED_PRECONDITION", "PROVIDER_DISABLED")
    listed = {}
    for key in (acme, other):
        request = models_pb2.ListModelsRequest(provider="openai")
        answer = await keyless.gateway.models.ListModels(request, metadata=keyless.gateway.metadata(key=key))
        listed[key] = len(answer.models)
    assert (listed[acme] > 5, listed[other]) == (True, 0)


async def test_a_key_that_is_refused_is_the_tenant_s_own_fault(desk: Desk) -> None:
    acme = await desk.tenant("acme")
    await desk.add(acme)
    desk.openai.reply(status=401, json={"error": {"message": f"Incorrect API key provided: {OWN}"}})
    request = chat_pb2.CompleteRequest(input=question("hello", MODEL))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await desk.gateway.chat.Complete(request, metadata=desk.gateway.metadata("ada", acme))
    assert refusal_of(caught.value) == BYOK_INVALID
    assert len(desk.openai.requests) == 1
    assert "sk-" not in f"{caught.value.details()} {caught.value.trailing_metadata()!r}"


async def test_the_key_can_be_tested_before_it_is_kept(desk: Desk) -> None:
    acme = await desk.tenant("acme")
    desk.openai.reply(status=401, json={})
    assert await refusal(desk.add(acme, test_first=True)) == BYOK_INVALID
    assert await desk.listed(acme) == []
    desk.openai.reply(json={"data": []})
    account = await desk.add(acme, test_first=True)
    assert desk.sent() == OWN
    desk.openai.reply(status=403, json={})
    assert await refusal(desk.rotate(acme, account.account_id, "sk-bad", test_first=True)) == BYOK_INVALID
    assert await desk.ask(acme) == OWN


async def test_an_account_can_be_tested_and_that_is_in_the_audit(desk: Desk, database: Database) -> None:
    acme, other = await desk.tenant("acme"), await desk.tenant("other")
    account = await desk.add(acme)
    desk.openai.reply(json={"data": [{"id": "gpt-4o"}]})
    told = await desk.test(acme, account.account_id)
    assert (told.ok, told.model_count, desk.sent()) == (True, 1, OWN)
    assert await refusal(desk.test(other, account.account_id)) == NOT_FOUND
    request = providers_pb2.TestProviderRequest(name="gemini", account_id=account.account_id)
    assert await refusal(desk.call("TestProvider", acme, request)) == NOT_FOUND
    rows = await database.fetch("SELECT action, request_id FROM provider_account_audit ORDER BY audit_id")
    assert [row["action"] for row in rows] == ["create", "use"]
    assert all(row["request_id"] for row in rows)


async def test_another_tenant_s_account_does_not_exist(desk: Desk) -> None:
    acme, other = await desk.tenant("acme"), await desk.tenant("other")
    account_id = (await desk.add(acme)).account_id
    assert await desk.listed(other) == []
    assert await refusal(desk.delete(other, account_id)) == NOT_FOUND
    assert await refusal(desk.rotate(other, account_id, "sk")) == NOT_FOUND
    request = providers_pb2.SetDefaultProviderAccountRequest(account_id=account_id)
    assert await refusal(desk.call("SetDefaultProviderAccount", other, request)) == NOT_FOUND
    for nonsense in ("", "x", "acct_" + account_id.removeprefix("pacc_")):
        assert await refusal(desk.delete(acme, nonsense)) == NOT_FOUND
    assert await desk.ask(acme) == OWN


async def test_accounts_that_cannot_be(desk: Desk) -> None:
    acme = await desk.tenant("acme")
    await desk.add(acme)
    assert await refusal(desk.add(acme)) == Refusal("ALREADY_EXISTS", "RESOURCE_EXISTS")
    for key in ("", "two words", "line\nbreak", "schlüssel", "k" * 4097):
        assert await refusal(desk.add(acme, "other", key)) == invalid("api_key")
    assert await refusal(desk.add(acme, "nul\0")) == invalid("name")
    unknown = providers_pb2.CreateProviderAccountRequest(provider="nobody", name="a", api_key="k")
    assert await refusal(desk.call("CreateProviderAccount", acme, unknown)) == NOT_FOUND
    sandbox = providers_pb2.CreateProviderAccountRequest(provider="sandbox", name="a", api_key="k")
    disabled = Refusal("FAILED_PRECONDITION", "PROVIDER_DISABLED")
    assert await refusal(desk.call("CreateProviderAccount", acme, sandbox)) == disabled


async def test_it_takes_its_own_scope(desk: Desk) -> None:
    request = admin_pb2.CreateApiKeyRequest(name="reader", scopes=["providers:read", "chat:*"])
    key = (await desk.gateway.admin.CreateApiKey(request, metadata=desk.gateway.metadata())).secret
    calls = [desk.add(key), desk.listed(key), desk.delete(key, "x"), desk.rotate(key, "x", "k")]
    assert [each.reason for each in await asyncio.gather(*map(refusal, calls))] == ["SCOPE_MISSING"] * 4


async def test_the_key_comes_out_nowhere(
    desk: Desk, database: Database, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    acme = await desk.tenant("acme")
    heard = [repr(await desk.add(acme)), repr(await desk.listed(acme))]
    await desk.ask(acme)
    desk.openai.reply(status=400, json={"error": {"message": OWN}})
    for call in (desk.add(acme), desk.add(acme, "x", f"{OWN} with spaces"), desk.ask(acme)):
        try:
            await call
        except grpc.aio.AioRpcError as error:
            heard.append(f"{error.details()} {error.trailing_metadata()!r} {error.debug_error_string()}")
    desk.gateway.house.journal.flush()
    names = [row[0] for row in await database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    rows = [str(tuple(row)) for name in names for row in await database.fetch(f"SELECT t::text FROM {name} t")]
    out, err = capfd.readouterr()
    assert "provider_account" in names
    for text in (*heard, *rows, caplog.text, out, err):
        assert OWN not in text
        assert OWN.encode().hex() not in text


async def test_a_gateway_that_lost_its_key_of_keys_does_not_start(start_gateway: StartGateway) -> None:
    kek = {f"TRUNKLINE_SECRETS__KEK__{version}": b64encode(bytes([version]) * 32).decode() for version in (1, 2)}
    gateway = await start_gateway({**kek, "OPENAI_API_KEY": GATEWAYS})
    acme = await tenant_key(gateway, "acme")
    request = providers_pb2.CreateProviderAccountRequest(provider="openai", name="main", api_key=OWN)
    await gateway.providers.CreateProviderAccount(request, metadata=gateway.metadata(key=acme))
    await start_gateway(kek)
    with pytest.raises(StartError, match=r"secrets\.kek: version 2 is missing or wrong"):
        await start_gateway({"TRUNKLINE_SECRETS__KEK__1": kek["TRUNKLINE_SECRETS__KEK__1"]})


async def test_a_pepper_that_changed_is_told(start_gateway: StartGateway) -> None:
    gateway = await start_gateway({"OPENAI_API_KEY": GATEWAYS})
    request = providers_pb2.CreateProviderAccountRequest(provider="openai", name="main", api_key=OWN)
    await gateway.providers.CreateProviderAccount(request, metadata=gateway.metadata())
    with pytest.raises(StartError, match=r"auth\.pepper: was changed"):
        await start_gateway({"TRUNKLINE_AUTH__PEPPER": "other"})
