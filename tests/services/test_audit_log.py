"""AuditService over a socket: what operators do is noted, or not done; what is noted cannot be changed unseen."""

from __future__ import annotations

import logging
from typing import Any, Final

import pytest

from tests.fixtures.gateway import RunningGateway, StartGateway
from tests.fixtures.refusal import invalid, refusal
from trunkline.v1 import admin_pb2, audit_pb2, credits_pb2, limits_pb2, models_pb2, providers_pb2, webhooks_pb2
from trunkline_server.core import money, redaction
from trunkline_server.door.contract import Contract
from trunkline_server.door.witness import WITHOUT_ROWS
from trunkline_server.store.database import Database

RECORDED: Final = frozenset(
    (
        "AdminService/CreateApiKey",
        "AdminService/CreateTenant",
        "AdminService/RevokeApiKey",
        "AdminService/RotateApiKey",
        "CreditService/AdjustCredits",
        "CreditService/GrantCredits",
        "CreditService/RefundCredits",
        "CreditService/UpdateAccount",
        "LimitService/DeleteBudget",
        "LimitService/DeleteRateLimit",
        "LimitService/SetBudget",
        "LimitService/SetRateLimit",
        "ModelService/DeleteModelAlias",
        "ModelService/SetModelAlias",
        "ModelService/SetPrice",
        "ModerationService/SetGuardPolicy",
        "ProviderService/CreateProviderAccount",
        "ProviderService/DeleteProviderAccount",
        "ProviderService/RotateProviderAccount",
        "ProviderService/SetDefaultProviderAccount",
        "WebhookService/CreateEndpoint",
        "WebhookService/DeleteEndpoint",
        "WebhookService/RotateSecret",
        "WebhookService/UpdateEndpoint",
    )
)
"""Whose changes a trigger notes."""


def test_every_method_of_operators_is_noted() -> None:
    audited = {method.name.removeprefix("/trunkline.v1.") for method in Contract().methods() if method.is_audited}
    assert audited == RECORDED | {name.removeprefix("/trunkline.v1.") for name in WITHOUT_ROWS}


class Desk:
    """What an operator does, and what the audit says of it."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self.metadata: Any = gateway.metadata()

    async def entries(self, **fields: Any) -> list[audit_pb2.AuditEntry]:
        request = audit_pb2.ListEntriesRequest(**fields)
        return list((await self.gateway.audit.ListEntries(request, metadata=self.metadata)).entries)

    async def verify(self, **fields: Any) -> audit_pb2.VerifyLogResponse:
        return await self.gateway.audit.VerifyLog(audit_pb2.VerifyLogRequest(**fields), metadata=self.metadata)

    async def alias(self, name: str) -> None:
        request = models_pb2.SetModelAliasRequest(alias=name, models=["sandbox/echo"])
        await self.gateway.models.SetModelAlias(request, metadata=self.metadata)

    async def key(self, name: str = "it", **fields: Any) -> admin_pb2.CreateApiKeyResponse:
        request = admin_pb2.CreateApiKeyRequest(name=name, scopes=["chat:write"], **fields)
        return await self.gateway.admin.CreateApiKey(request, metadata=self.metadata)


@pytest.fixture
def desk(gateway: RunningGateway) -> Desk:
    return Desk(gateway)


async def test_who_did_what_to_which(desk: Desk) -> None:
    made = await desk.key("secret name")
    first, *older = await desk.entries()
    assert (first.action, first.resource) == ("api_key.create", made.api_key.key_id)
    assert first.method == "AdminService/CreateApiKey"
    assert first.principal == desk.gateway.key.split("_")[2]
    assert len(first.request_id) > 8
    assert first.HasField("create_time")
    assert "secret name" not in str(first)
    assert [each.principal for each in older] == [""] * len(older)  # the first start


async def test_each_kind_of_change_is_noted(desk: Desk) -> None:
    gateway, metadata = desk.gateway, desk.metadata
    key = (await desk.key()).api_key.key_id
    await gateway.admin.RotateApiKey(admin_pb2.RotateApiKeyRequest(key_id=key), metadata=metadata)
    await gateway.admin.RevokeApiKey(admin_pb2.RevokeApiKeyRequest(key_id=key), metadata=metadata)
    granted = credits_pb2.GrantCreditsRequest(user_id="ada", request_id="g", amount=money.credits(5 * money.NANOS))
    account = (await gateway.credits.GrantCredits(granted, metadata=metadata)).account.account_id
    changed = credits_pb2.UpdateAccountRequest(account_id=account, suspended=True)
    await gateway.credits.UpdateAccount(changed, metadata=metadata)
    await desk.alias("fast")
    await gateway.providers.TestProvider(providers_pb2.TestProviderRequest(name="sandbox"), metadata=metadata)
    endpoint = "whep_" + "0" * 32
    again = webhooks_pb2.RedeliverRequest(failed=webhooks_pb2.RedeliverFailed(endpoint_id=endpoint))
    assert (await refusal(gateway.webhooks.Redeliver(again, metadata=metadata))).code == "NOT_FOUND"
    noted = [(each.action, each.resource) for each in reversed(await desk.entries(principal=gateway.key.split("_")[2]))]
    assert noted == [
        ("api_key.create", key),
        ("api_key.rotate", key),
        ("api_key.revoke", key),
        ("credits.grant", account),
        ("account.update", account),
        ("model_alias.set", "fast"),
        ("provider.test", "sandbox"),
        ("webhook_delivery.send", endpoint),
    ]


async def test_entries_are_chosen_and_come_in_pages(desk: Desk) -> None:
    for name in ("one", "two", "three"):
        await desk.alias(name)
    await desk.key()
    assert [each.resource for each in await desk.entries(action="model_alias")] == ["three", "two", "one"]
    assert [each.resource for each in await desk.entries(resource="two")] == ["two"]
    assert await desk.entries(action="model") == []
    request = audit_pb2.ListEntriesRequest(action="model_alias", page_size=2)
    page = await desk.gateway.audit.ListEntries(request, metadata=desk.metadata)
    request.page_token = page.next_page_token
    rest = await desk.gateway.audit.ListEntries(request, metadata=desk.metadata)
    assert [each.resource for each in (*page.entries, *rest.entries)] == ["three", "two", "one"]


async def test_what_cannot_be_noted_is_not_done(desk: Desk, database: Database) -> None:
    await database.execute("ALTER TABLE audit_entry ADD CHECK (action NOT IN ('model_alias.set', 'breaker.open'))")
    assert (await refusal(desk.alias("fast"))).code == "INTERNAL"
    assert await database.fetchval("SELECT count(*) FROM model_alias") == 0
    opened = providers_pb2.OpenBreakerRequest(name="sandbox/echo")
    assert (await refusal(desk.gateway.providers.OpenBreaker(opened, metadata=desk.metadata))).code == "INTERNAL"


async def test_tenants_have_logs_of_their_own(desk: Desk) -> None:
    admin, metadata = desk.gateway.admin, desk.metadata
    tenant = (await admin.CreateTenant(admin_pb2.CreateTenantRequest(name="acme"), metadata=metadata)).tenant
    made = await admin.CreateApiKey(
        admin_pb2.CreateApiKeyRequest(name="k", scopes=["*"], tenant_id=tenant.tenant_id), metadata=metadata
    )
    desk.metadata = desk.gateway.metadata(key=made.secret)
    assert [each.action for each in await desk.entries()] == ["api_key.create", "tenant.create"]
    assert (await desk.verify()).head.sequence == 2


async def test_a_whole_log_is_proven(desk: Desk, database: Database) -> None:
    kept = (await desk.verify()).head
    odd = 'odd "name" \\ ü \u2028 \x01\t\n\x7f \U0001f600'
    await database.execute("SELECT audit_append(tenant_id, $1, $1) FROM audit_head", odd)
    proof = await desk.verify(kept_head=kept)
    assert proof.intact
    assert proof.broken_at == 0
    assert proof.head.sequence == kept.sequence + 1


EDITS: Final = {
    "changed": ("UPDATE audit_entry SET principal = 'mallory' WHERE sequence = 3", 3, "the entry was changed"),
    "taken out": ("DELETE FROM audit_entry WHERE sequence = 3", 3, "an entry is missing"),
    "the end cut off": ("DELETE FROM audit_entry WHERE sequence >= 4", 4, "the end is missing"),
    "in another order": (
        """UPDATE audit_entry SET (create_time, principal, action, resource, method, request_id, hash) = (
               SELECT other.create_time, other.principal, other.action, other.resource, other.method, other.request_id,
                      other.hash FROM audit_entry AS other WHERE other.sequence = 5 - audit_entry.sequence
                      AND other.tenant_id = audit_entry.tenant_id)
           WHERE sequence IN (2, 3)""",
        2,
        "the entry was changed",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
async def test_what_was_changed_is_found(desk: Desk, database: Database, edit: str) -> None:
    for name in ("one", "two", "three"):
        await desk.alias(name)
    statement, place, fault = EDITS[edit]
    await unguarded(database, statement)
    proof = await desk.verify()
    assert (proof.intact, proof.broken_at, proof.fault) == (False, place, fault)


async def test_a_signed_head_is_told_to_the_log_as_it_is(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trunkline_server.store.audit_log")
    head = (await desk.verify()).head
    told = [redaction.text(each) for each in caplog.messages if each.startswith("audit.head ")]
    assert told[-1].endswith(f"hash={head.hash.hex()} signed={head.signature.hex()}")


async def test_an_end_cut_off_with_its_head_is_found_by_signatures_and_by_kept_heads(
    desk: Desk, database: Database
) -> None:
    await desk.alias("one")
    await desk.alias("two")
    kept = (await desk.verify()).head
    await unguarded(
        database,
        "DELETE FROM audit_entry WHERE sequence = (SELECT max(sequence) FROM audit_entry)",
        """UPDATE audit_head SET (sequence, hash) = (SELECT last.sequence, last.hash FROM audit_entry AS last
           WHERE last.tenant_id = audit_head.tenant_id ORDER BY last.sequence DESC LIMIT 1)""",
    )
    assert (await desk.verify()).fault == "the end is missing"
    await unguarded(database, "DELETE FROM audit_signature")
    assert (await desk.verify()).intact
    assert (await desk.verify(kept_head=kept)).fault == "the end is missing"


async def test_a_log_made_anew_is_found(desk: Desk, database: Database) -> None:
    await desk.alias("one")
    kept = (await desk.verify()).head
    tenant_id = await database.fetchval("SELECT tenant_id FROM audit_entry LIMIT 1")
    await unguarded(database, "DELETE FROM audit_entry", "DELETE FROM audit_head")
    for _ in range(kept.sequence):
        await database.execute("SELECT audit_append($1, 'nothing', '')", tenant_id)
    assert (await desk.verify()).fault == "the entry is not the one that was signed"
    await unguarded(database, "DELETE FROM audit_signature")
    assert (await desk.verify(kept_head=kept)).fault == "the entry is not the one that was kept"


async def test_a_head_of_somebody_else_is_refused(desk: Desk) -> None:
    head = (await desk.verify()).head
    head.signature = bytes(32)
    assert await refusal(desk.verify(kept_head=head)) == invalid("kept_head.signature")


async def test_entries_are_only_added(desk: Desk, database: Database) -> None:
    await desk.alias("one")
    for statement in ("UPDATE audit_entry SET resource = ''", "DELETE FROM audit_entry", "TRUNCATE audit_entry"):
        with pytest.raises(Exception, match="only added to"):
            await database.execute(statement)


async def test_calls_of_users_leave_no_entry(start_gateway: StartGateway) -> None:
    desk = Desk(await start_gateway())
    before = await desk.verify()
    quota = limits_pb2.GetQuotaRequest()
    await desk.gateway.limits.GetQuota(quota, metadata=desk.gateway.metadata("ada"))
    endpoints = webhooks_pb2.ListEndpointsRequest()
    await desk.gateway.webhooks.ListEndpoints(endpoints, metadata=desk.gateway.metadata("ada"))
    assert (await desk.verify()).head == before.head


async def unguarded(database: Database, *statements: str) -> None:
    """What only the owner of the database can do."""
    async with database.transaction() as connection:
        for table in ("audit_entry", "audit_signature"):
            await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in statements:
            await connection.execute(statement)
        for table in ("audit_entry", "audit_signature"):
            await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
