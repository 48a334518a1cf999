"""AdminService over a socket: tenants, keys, and that nobody gives a key more than they have."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from tests.fixtures.gateway import RunningGateway, StartGateway, question
from tests.fixtures.refusal import Refusal, refusal
from tests.fixtures.until import until
from trunkline.v1 import admin_pb2, chat_pb2, credits_pb2, usage_pb2
from trunkline_server import __version__

FORBIDDEN = ("PERMISSION_DENIED", "FIELD_FORBIDDEN")
UNKNOWN = Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")


def moment(delta: timedelta) -> Timestamp:
    told = Timestamp()
    told.FromDatetime(datetime.now(UTC) + delta)
    return told


class Office:
    """What the holder of one key does."""

    def __init__(self, gateway: RunningGateway, key: str = "") -> None:
        self.admin = gateway.admin
        self.gateway = gateway
        self.key = key

    @property
    def metadata(self) -> Any:
        return self.gateway.metadata(key=self.key)

    async def tenant(self, name: str) -> admin_pb2.Tenant:
        request = admin_pb2.CreateTenantRequest(name=name)
        return (await self.admin.CreateTenant(request, metadata=self.metadata)).tenant

    async def make(self, *scopes: str, name: str = "key", **fields: Any) -> admin_pb2.CreateApiKeyResponse:
        request = admin_pb2.CreateApiKeyRequest(name=name, scopes=scopes or ["*"], **fields)
        return await self.admin.CreateApiKey(request, metadata=self.metadata)

    async def hire(self, *scopes: str, **fields: Any) -> Office:
        """Somebody with a key of their own."""
        return Office(self.gateway, (await self.make(*scopes, **fields)).secret)

    async def keys(self, size: int = 0, token: str = "") -> admin_pb2.ListApiKeysResponse:
        request = admin_pb2.ListApiKeysRequest(page_size=size, page_token=token)
        return await self.admin.ListApiKeys(request, metadata=self.metadata)

    async def revoke(self, key_id: str) -> admin_pb2.ApiKey:
        request = admin_pb2.RevokeApiKeyRequest(key_id=key_id)
        return (await self.admin.RevokeApiKey(request, metadata=self.metadata)).api_key

    async def rotate(self, key_id: str, **fields: Any) -> admin_pb2.RotateApiKeyResponse:
        request = admin_pb2.RotateApiKeyRequest(key_id=key_id, **fields)
        return await self.admin.RotateApiKey(request, metadata=self.metadata)

    async def info(self) -> admin_pb2.GetInfoResponse:
        return await self.admin.GetInfo(admin_pb2.GetInfoRequest(), metadata=self.metadata)

    async def balance(self) -> credits_pb2.Account:
        request = credits_pb2.GetBalanceRequest()
        return (await self.gateway.credits.GetBalance(request, metadata=self.metadata)).account


@pytest.fixture
def chief(gateway: RunningGateway) -> Office:
    """Has the first key, which may everything."""
    return Office(gateway)


# Tenants


async def test_a_tenant_has_a_name_of_its_own(chief: Office) -> None:
    made = await chief.tenant("acme")
    assert made.tenant_id.startswith("tnt_")
    assert (made.name, made.suspended) == ("acme", False)
    assert await refusal(chief.tenant("acme")) == Refusal("ALREADY_EXISTS", "RESOURCE_EXISTS")
    assert (await refusal(chief.tenant("no spaces"))).field == "name"


async def test_tenants_are_listed_oldest_first_in_pages(chief: Office) -> None:
    for name in ("acme", "bolt", "coil"):
        await chief.tenant(name)
    seen: list[str] = []
    request = admin_pb2.ListTenantsRequest(page_size=3)
    for _ in range(2):
        page = await chief.admin.ListTenants(request, metadata=chief.metadata)
        seen += [tenant.name for tenant in page.tenants]
        request.page_token = page.next_page_token
    assert seen == ["default", "acme", "bolt", "coil"]
    assert request.page_token == ""


async def test_a_tenant_sees_nothing_of_another(chief: Office) -> None:
    other = await chief.hire("*", tenant_id=(await chief.tenant("acme")).tenant_id)
    assert (await other.balance()).account_id != (await chief.balance()).account_id
    own = {key.key_id for key in (await chief.keys()).api_keys}
    assert own.isdisjoint(key.key_id for key in (await other.keys()).api_keys)
    await chief.make()
    token = (await chief.keys(size=1)).next_page_token
    assert (await refusal(other.keys(token=token))).reason == "PAGE_TOKEN_INVALID"
    named = credits_pb2.GetBalanceRequest(account_id=(await chief.balance()).account_id)
    assert await refusal(chief.gateway.credits.GetBalance(named, metadata=other.metadata)) == UNKNOWN


# Making keys


async def test_a_key_opens_and_its_secret_is_shown_once(chief: Office) -> None:
    expire_time = moment(timedelta(hours=1))
    made = await chief.make("chat:write", "credits:read", name="ci", expire_time=expire_time)
    key = made.api_key
    assert made.secret.startswith("tl_")
    assert key.key_id in made.secret
    assert (key.name, list(key.scopes), list(key.allowed_models)) == ("ci", ["chat:write", "credits:read"], [])
    assert key.expire_time.ToMicroseconds() == expire_time.ToMicroseconds()
    assert not key.HasField("revoke_time")
    assert (await Office(chief.gateway, made.secret).balance()).unlimited
    listed = await chief.keys()
    assert key in listed.api_keys
    assert made.secret.split("_")[3].encode() not in listed.SerializeToString()


async def test_keys_are_listed_oldest_first_in_pages(chief: Office) -> None:
    for name in ("first", "second", "third"):
        await chief.make(name=name)
    page = await chief.keys(size=2)
    rest = await chief.keys(size=2, token=page.next_page_token)
    assert [key.name for key in (*page.api_keys, *rest.api_keys)] == ["admin", "first", "second", "third"]
    assert rest.next_page_token == ""


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (["chat:write", "credits:grant"], "scopes[1]"),
        (["*"], "scopes[0]"),
        (["credits:*"], "scopes[0]"),
        (["keys:*"], "scopes[0]"),
        (["admin:tenants"], "scopes[0]"),
    ],
)
async def test_nobody_gives_a_scope_that_they_lack(chief: Office, given: list[str], field: str) -> None:
    clerk = await chief.hire("keys:admin", "chat:*", "credits:read")
    assert await refusal(clerk.make(*given)) == Refusal(*FORBIDDEN, field)


async def test_everybody_gives_what_they_have(chief: Office) -> None:
    clerk = await chief.hire("keys:admin", "chat:*")
    assert list((await clerk.make("chat:write", "chat:*")).api_key.scopes) == ["chat:*", "chat:write"]


async def test_nobody_gives_a_model_that_they_lack(chief: Office) -> None:
    clerk = await chief.hire("*", allowed_models=["sandbox/*", "openai/gpt-4o"])
    assert await refusal(clerk.make()) == Refusal(*FORBIDDEN, "allowed_models")
    for models, field in (
        (["sandbox/echo", "anthropic/claude-2"], "allowed_models[1]"),
        (["openai/*"], "allowed_models[0]"),
    ):
        assert await refusal(clerk.make(allowed_models=models)) == Refusal(*FORBIDDEN, field)
    given = ["openai/gpt-4o", "sandbox/*", "sandbox/echo"]
    narrow = await clerk.hire("chat:write", allowed_models=given)
    ask = chat_pb2.CompleteRequest(input=question("hello", "sandbox/think"))
    assert await refusal(chief.gateway.chat.Complete(ask, metadata=narrow.metadata)) == Refusal("OK")


@pytest.mark.parametrize("name", ["gpt-4o", "/gpt-4o", "openai/", "open\0ai/gpt-4o"])
async def test_a_model_that_no_call_could_name(chief: Office, name: str) -> None:
    refused = await refusal(chief.make(allowed_models=["sandbox/echo", name]))
    assert refused == Refusal("INVALID_ARGUMENT", "VALIDATION", "allowed_models[1]")


@pytest.mark.parametrize("expire_time", [moment(timedelta(seconds=-1)), Timestamp(), Timestamp(seconds=2**62)])
async def test_a_key_ends_in_the_future(chief: Office, expire_time: Timestamp) -> None:
    refused = await refusal(chief.make(expire_time=expire_time))
    assert refused == Refusal("INVALID_ARGUMENT", "VALIDATION", "expire_time")


async def test_another_tenants_key_needs_a_scope(chief: Office) -> None:
    tenant = await chief.tenant("acme")
    assert (await chief.make("chat:write", tenant_id=tenant.tenant_id)).api_key.tenant_id == tenant.tenant_id
    clerk = await chief.hire("keys:admin", "chat:write")
    assert await refusal(clerk.make("chat:write", tenant_id=tenant.tenant_id)) == Refusal(*FORBIDDEN, "tenant_id")
    own = (await chief.keys()).api_keys[0].tenant_id
    assert (await clerk.make("chat:write", tenant_id=own)).api_key.tenant_id == own
    for missing in ("tnt_" + "0" * 32, "acme"):
        assert await refusal(chief.make(tenant_id=missing)) == UNKNOWN
        assert await refusal(clerk.make("chat:write", tenant_id=missing)) == Refusal(*FORBIDDEN, "tenant_id")


# Ending and renewing keys


async def test_a_revoked_key_ends_on_every_replica(start_gateway: StartGateway) -> None:
    here, there = await start_gateway(), await start_gateway()
    made = await Office(here).make("credits:read")
    used = [Office(here, made.secret), Office(there, made.secret)]
    for each in used:
        await each.balance()
    first = await Office(here).revoke(made.api_key.key_id)
    assert first.HasField("revoke_time")
    assert await refusal(used[0].balance()) == Refusal("UNAUTHENTICATED", "AUTH_REVOKED"), "at once where it was done"
    assert await Office(there).revoke(made.api_key.key_id) == first

    async def ended() -> bool:
        answers = [await refusal(each.balance()) for each in used]
        return answers == [Refusal("UNAUTHENTICATED", "AUTH_REVOKED")] * 2

    await until(ended, limit_s=5)


async def test_a_rotated_key_has_two_secrets_for_a_while(chief: Office) -> None:
    made = await chief.make("credits:read")
    key_id = made.api_key.key_id
    renewed = await chief.rotate(key_id)
    assert renewed.api_key == made.api_key
    assert renewed.secret != made.secret
    for secret in (made.secret, renewed.secret):
        assert (await Office(chief.gateway, secret).balance()).unlimited
    last = await chief.rotate(key_id, overlap=Duration())
    for secret in (made.secret, renewed.secret):
        await until(partial(_is_refused, Office(chief.gateway, secret)), limit_s=5)
    assert (await Office(chief.gateway, last.secret).balance()).unlimited


async def _is_refused(office: Office) -> bool:
    return await refusal(office.balance()) == Refusal("UNAUTHENTICATED", "AUTH_INVALID")


async def test_a_new_secret_is_only_for_who_may_as_much(chief: Office) -> None:
    """Else whoever administers keys could take the strongest."""
    clerk = await chief.hire("keys:admin", "chat:*", allowed_models=["sandbox/*"])
    stronger = (
        await chief.make("*"),
        await chief.make("chat:write"),
        await chief.make("chat:write", allowed_models=["sandbox/echo", "openai/gpt-4o"]),
    )
    for made in stronger:
        assert await refusal(clerk.rotate(made.api_key.key_id)) == Refusal(*FORBIDDEN, "key_id")
    equal = await chief.make("chat:write", allowed_models=["sandbox/echo"])
    assert (await clerk.rotate(equal.api_key.key_id)).api_key.key_id == equal.api_key.key_id


async def test_nobody_makes_a_key_that_is_more_urgent_than_their_own(chief: Office) -> None:
    batch, critical = admin_pb2.PRIORITY_BATCH, admin_pb2.PRIORITY_CRITICAL
    clerk = await chief.hire("keys:admin", "chat:*", priority=batch)
    urgent = await chief.make("chat:write", priority=critical)

    assert urgent.api_key.priority == critical
    assert (await clerk.make("chat:write")).api_key.priority == batch
    assert await refusal(clerk.make("chat:write", priority=critical)) == Refusal(*FORBIDDEN, "priority")
    assert await refusal(clerk.rotate(urgent.api_key.key_id)) == Refusal(*FORBIDDEN, "key_id")


async def test_a_key_that_is_not_there_or_not_ones_own(chief: Office) -> None:
    tenant = await chief.tenant("acme")
    theirs = await chief.make("chat:write", tenant_id=tenant.tenant_id)
    clerk = await chief.hire("keys:admin", "chat:*")
    for key_id in (theirs.api_key.key_id, "nobody", "' OR '1'='1"):
        assert await refusal(clerk.revoke(key_id)) == UNKNOWN
        assert await refusal(clerk.rotate(key_id)) == UNKNOWN
    assert (await refusal(clerk.revoke("\0"))).field == "key_id"
    assert (await chief.rotate(theirs.api_key.key_id)).secret != theirs.secret
    assert (await chief.revoke(theirs.api_key.key_id)).HasField("revoke_time")
    assert await refusal(chief.rotate(theirs.api_key.key_id)) == UNKNOWN


# The replica


async def test_a_replica_says_what_it_is(chief: Office) -> None:
    info = await chief.info()
    assert info.version == __version__
    assert info.replica_id
    assert abs(info.start_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    assert (info.draining, info.database_ok, info.database_embedded) == (False, True, False)
    assert 10_000_000 < info.resident_memory_bytes < 4_000_000_000
    assert (info.live_call_count, info.expired_reservation_count) == (0, 0)


async def test_replicas_have_names_of_their_own(start_gateway: StartGateway) -> None:
    replicas = [await Office(await start_gateway()).info() for _ in range(2)]
    assert replicas[0].replica_id != replicas[1].replica_id


async def test_running_calls_and_expired_reservations_are_counted(chief: Office, database: Any) -> None:
    slow = chat_pb2.StreamRequest(input=question("hello", "sandbox/stall"))
    stream = chief.gateway.chat.Stream(slow, metadata=chief.metadata)
    await stream.read()
    assert (await chief.info()).live_call_count == 1
    stream.cancel()

    async def idle() -> bool:
        return (await chief.info()).live_call_count == 0

    await until(idle)
    one = usage_pb2.Amount(unit="CREDIT", nanos=1)
    held = credits_pb2.ReserveRequest(request_id="job", amount=one, user_id="ada")
    await chief.gateway.credits.Reserve(held, metadata=chief.metadata)
    await database.execute("UPDATE hold SET expires_at = clock_timestamp() - interval '1 s' WHERE state = 'held'")
    await chief.gateway.house.gateway.admission._ledger.expire_due()
    assert (await chief.info()).expired_reservation_count == 1


async def test_a_replica_that_is_told_to_goes_away(chief: Office) -> None:
    house = chief.gateway.house
    for _ in range(2):
        await chief.admin.Drain(admin_pb2.DrainRequest(), metadata=chief.metadata)
    assert (await chief.info()).draining
    assert not house.drain._hurried.is_set()
    await asyncio.wait_for(house.until_gone(), 10)
    assert (await refusal(chief.info())).code == "UNAVAILABLE"


async def test_each_method_asks_for_its_scope(chief: Office) -> None:
    nobody = await chief.hire("chat:write")
    calls = (nobody.tenant("acme"), nobody.make("chat:write"), nobody.keys(), nobody.revoke("x"), nobody.rotate("x"))
    for call in itertools.chain(calls, (nobody.info(),)):
        assert await refusal(call) == Refusal("PERMISSION_DENIED", "SCOPE_MISSING")
