"""Browser tokens: what they may, what they may spend, and when they end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from google.protobuf.duration_pb2 import Duration

from tests.fixtures.gateway import RunningGateway, question
from tests.fixtures.refusal import Refusal, invalid, refusal
from tests.fixtures.requests.moderation import GOOD
from tests.fixtures.until import until
from trunkline.v1 import admin_pb2, chat_pb2, models_pb2, usage_pb2
from trunkline_server.core import redaction
from trunkline_server.core.browser_token import BrowserToken, BrowserTokens
from trunkline_server.store.database import Database
from trunkline_server.store.installation import installation_secret

INVALID = Refusal("UNAUTHENTICATED", "AUTH_INVALID")
NO_SCOPE = Refusal("PERMISSION_DENIED", "SCOPE_MISSING")
FORBIDDEN = Refusal("PERMISSION_DENIED", "FIELD_FORBIDDEN")
SPENT = Refusal("RESOURCE_EXHAUSTED", "BUDGET_EXCEEDED")
PLENTY = 10**12


async def minted(
    gateway: RunningGateway,
    key: str = "",
    budget: int = PLENTY,
    models: Sequence[str] = ("sandbox/echo",),
    **fields: Any,
) -> str:
    request = admin_pb2.CreateBrowserTokenRequest(
        user_id="ada", allowed_models=models, budget=usage_pb2.Amount(unit="CREDIT", nanos=budget), **fields
    )
    made = await gateway.admin.CreateBrowserToken(request, metadata=gateway.metadata(key=key))
    return str(made.token)


async def key_of(gateway: RunningGateway, *scopes: str, **fields: Any) -> admin_pb2.CreateApiKeyResponse:
    request = admin_pb2.CreateApiKeyRequest(name="page", scopes=scopes, **fields)
    return await gateway.admin.CreateApiKey(request, metadata=gateway.metadata())


def complete(gateway: RunningGateway, token: str, model: str = "sandbox/echo", **metadata: str) -> Any:
    request = chat_pb2.CompleteRequest(input=question("Hello", model))
    request.input.sampling.max_output_tokens = 5
    return gateway.chat.Complete(request, metadata=gateway.metadata(key=token, **metadata))


async def test_a_token_is_for_one_user_some_models_and_chats_alone(gateway: RunningGateway) -> None:
    token = await minted(gateway)
    completion = (await complete(gateway, token)).completion
    assert completion.charge.nanos > 0, "charged to its user, and not to the tenant, who has no limit"
    assert await refusal(complete(gateway, token, user="ada")) == Refusal("OK")
    assert await refusal(complete(gateway, token, user="bob")) == FORBIDDEN
    assert await refusal(complete(gateway, token, x_trunkline_account="acct_" + "1" * 32)) == FORBIDDEN
    assert (await refusal(complete(gateway, token, "sandbox/lorem"))).code == "PERMISSION_DENIED"
    metadata = gateway.metadata(key=token)
    listing = gateway.models.ListModels(models_pb2.ListModelsRequest(), metadata=metadata)
    assert await refusal(listing) == NO_SCOPE
    moderate: Any = GOOD["ModerationService/Moderate"]
    assert await refusal(gateway.moderation.Moderate(moderate, metadata=metadata)) == NO_SCOPE
    assert await refusal(minting(gateway, token)) == NO_SCOPE, "a token makes none"


async def test_what_was_changed_is_no_token(gateway: RunningGateway) -> None:
    token = await minted(gateway)
    head, _, tail = token.partition(".")
    stranger = BrowserTokens.derive(b"somebody").spell(
        BrowserToken(uuid4(), gateway.key.split("_")[2], "ada", ("sandbox/*",), PLENTY, 2**40)
    )
    for forged in (head, f"{head}.", f"{head}x.{tail}", f"{token}=", f"{token}.", token.upper(), stranger, "tlb_"):
        assert await refusal(complete(gateway, forged)) == INVALID
    assert redaction.lines(f"say {token}".encode()) == b"say ***"


async def test_calls_at_once_spend_no_more_than_the_budget(gateway: RunningGateway) -> None:
    quoted = chat_pb2.QuoteRequest(input=question("Hello"))
    quoted.input.sampling.max_output_tokens = 5
    most = (await gateway.chat.Quote(quoted, metadata=gateway.metadata("ada"))).most.nanos
    token = await minted(gateway, budget=3 * most)
    told = list(await asyncio.gather(*(refusal(complete(gateway, token)) for _ in range(8))))
    assert set(told) <= {Refusal("OK"), SPENT}
    while (one := await refusal(complete(gateway, token))) == Refusal("OK"):
        told.append(one)
    assert one == SPENT
    charge = (await complete(gateway, await minted(gateway))).completion.charge.nanos
    spent = charge * told.count(Refusal("OK"))
    assert 2 * most < spent <= 3 * most, "all that is left is less than a call may cost"


async def test_a_token_ends_with_its_key_and_by_itself(database: Database, gateway: RunningGateway) -> None:
    expires = datetime.now(UTC) + timedelta(hours=1)
    made = await key_of(gateway, "chat:write", "tokens:write", expire_time=expires)
    request = asked(ttl=Duration(seconds=86400))
    lent = await gateway.admin.CreateBrowserToken(request, metadata=gateway.metadata(key=made.secret))
    assert lent.expire_time.seconds == made.api_key.expire_time.seconds
    assert await refusal(complete(gateway, lent.token)) == Refusal("OK")
    revoke = admin_pb2.RevokeApiKeyRequest(key_id=made.api_key.key_id)
    await gateway.admin.RevokeApiKey(revoke, metadata=gateway.metadata())

    async def revoked() -> bool:
        return await refusal(complete(gateway, lent.token)) == Refusal("UNAUTHENTICATED", "AUTH_REVOKED")

    await until(revoked)
    over = BrowserToken(uuid4(), gateway.key.split("_")[2], "ada", ("sandbox/*",), PLENTY, 1)
    spelled = BrowserTokens.derive(await installation_secret(database)).spell(over)
    assert await refusal(complete(gateway, spelled)) == Refusal("UNAUTHENTICATED", "AUTH_EXPIRED")


async def test_nobody_gives_more_than_they_have(gateway: RunningGateway) -> None:
    small = await key_of(gateway, "chat:write", "tokens:write", allowed_models=["sandbox/echo"])
    assert await refusal(minting(gateway, small.secret)) == Refusal("OK")
    wide = await refusal(minting(gateway, small.secret, allowed_models=["sandbox/*"]))
    assert wide == Refusal("PERMISSION_DENIED", "FIELD_FORBIDDEN", "allowed_models[0]")
    reader = await key_of(gateway, "chat:read", "tokens:write")
    assert (await refusal(minting(gateway, reader.secret))).reason == "FIELD_FORBIDDEN"
    plain = await key_of(gateway, "chat:*")
    assert await refusal(minting(gateway, plain.secret)) == NO_SCOPE
    assert await refusal(minting(gateway, budget=usage_pb2.Amount(unit="USD", nanos=1))) == invalid("budget.unit")
    assert await refusal(minting(gateway, budget=usage_pb2.Amount(unit="CREDIT"))) == invalid("budget.nanos")


def asked(**fields: Any) -> admin_pb2.CreateBrowserTokenRequest:
    given: dict[str, Any] = {
        "allowed_models": ["sandbox/echo"],
        "budget": usage_pb2.Amount(unit="CREDIT", nanos=PLENTY),
    } | fields
    return admin_pb2.CreateBrowserTokenRequest(user_id="ada", **given)


def minting(gateway: RunningGateway, key: str = "", **fields: Any) -> Any:
    return gateway.admin.CreateBrowserToken(asked(**fields), metadata=gateway.metadata(key=key))
