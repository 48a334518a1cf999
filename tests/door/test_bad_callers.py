"""Callers who are not who they say, may not do what they ask, or say odd things about themselves in the metadata."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2

from tests.fixtures.books import Books
from tests.fixtures.gateway import Metadata, RunningGateway, StartGateway, detail_of, question, reason_of, status_of
from tests.fixtures.refusal import Refusal, invalid, refusal, refusal_of, send
from tests.fixtures.until import until
from trunkline.v1 import admin_pb2, chat_pb2, credits_pb2
from trunkline_server.core import api_key
from trunkline_server.door.contract import Contract, Method
from trunkline_server.store.database import Database

MISSING: Final = Refusal("UNAUTHENTICATED", "AUTH_MISSING")
INVALID: Final = Refusal("UNAUTHENTICATED", "AUTH_INVALID")
REVOKED: Final = Refusal("UNAUTHENTICATED", "AUTH_REVOKED")
EXPIRED: Final = Refusal("UNAUTHENTICATED", "AUTH_EXPIRED")
SCOPE_MISSING: Final = Refusal("PERMISSION_DENIED", "SCOPE_MISSING")
OK: Final = Refusal("OK")
METHODS: Final = list(Contract().methods())
SCOPES: Final = sorted({method.scope for method in METHODS})


async def told(gateway: RunningGateway, metadata: Metadata, **fields: str) -> Refusal:
    """How a good question with this metadata ends."""
    asked = chat_pb2.CompleteRequest(input=question("hi"), **fields)
    return await refusal(gateway.chat.Complete(asked, metadata=metadata))


async def key_with(gateway: RunningGateway, *scopes: str, lives_s: float = 3600) -> admin_pb2.CreateApiKeyResponse:
    expire_time = Timestamp()
    expire_time.FromDatetime(datetime.now(UTC) + timedelta(seconds=lives_s))
    asked = admin_pb2.CreateApiKeyRequest(name="key", scopes=scopes, expire_time=expire_time)
    return await gateway.admin.CreateApiKey(asked, metadata=gateway.metadata())


async def test_no_key(gateway: RunningGateway) -> None:
    assert await told(gateway, ()) == MISSING
    hidden = (("authorization-bin", f"Bearer {gateway.key}".encode()), ("x-api-key", gateway.key))
    assert await told(gateway, hidden) == MISSING  # type: ignore[arg-type]


async def test_what_is_no_key(gateway: RunningGateway) -> None:
    real = api_key.parse(gateway.key)
    assert real is not None
    values = [
        "",
        "Bearer",
        "Bearer ",
        gateway.key,
        f"Basic {gateway.key}",
        f"Bearer  {gateway.key}",
        f"Bearer {gateway.key}x",
        f"Bearer {gateway.key[:-1]}",
        f"Bearer {gateway.key.upper()}",
        f"Bearer {gateway.key},{gateway.key}",
        "Bearer ' OR '1'='1",
        "Bearer sk-proj-" + "a" * 48,
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        f"Bearer {'x' * 4000}",
        f"Bearer {api_key.make('live').text}",
        f"Bearer {api_key.make('live', real.key_id).text}",
    ]
    heard = {value: await told(gateway, (("authorization", value),)) for value in values}
    assert heard == dict.fromkeys(values, INVALID)
    assert await told(gateway, (("authorization", f"bearer {gateway.key}"),)) == OK


async def test_two_keys_are_none(gateway: RunningGateway) -> None:
    """Not the first, not the last, not even the same twice: somebody in between has added one."""
    good, other = gateway.metadata()[0], ("authorization", f"Bearer {api_key.make('live').text}")
    for both in ((good, other), (other, good), (good, good)):
        assert await told(gateway, both) == INVALID


async def test_a_revoked_key_is_refused_at_once_on_every_replica(start_gateway: StartGateway) -> None:
    one, two = await start_gateway(), await start_gateway()
    made = await key_with(one, "chat:write")
    assert [await told(each, one.metadata(key=made.secret)) for each in (one, two)] == [OK, OK]
    await one.admin.RevokeApiKey(admin_pb2.RevokeApiKeyRequest(key_id=made.api_key.key_id), metadata=one.metadata())

    async def refused() -> bool:
        return [await told(each, one.metadata(key=made.secret)) for each in (one, two)] == [REVOKED, REVOKED]

    await until(refused, limit_s=5)


async def test_a_key_ends_with_its_time_though_it_is_remembered(gateway: RunningGateway) -> None:
    made = await key_with(gateway, "chat:write", lives_s=2)
    metadata = gateway.metadata(key=made.secret)
    assert await told(gateway, metadata) == OK

    async def expired() -> bool:
        return await told(gateway, metadata) == EXPIRED

    await until(expired)


async def test_a_suspended_tenant_is_refused(start_gateway: StartGateway, database: Database) -> None:
    gateway = await start_gateway(auth={"cache_ttl_s": "0.01"})
    await database.execute("UPDATE tenant SET suspended = true")
    assert await told(gateway, gateway.metadata()) == ("FAILED_PRECONDITION", "TENANT_SUSPENDED", "")


async def test_every_method_asks_for_its_scope(gateway: RunningGateway) -> None:
    """A key with every scope but one, and a key with that one alone."""
    for scope in SCOPES:
        without = await key_with(gateway, *(each for each in SCOPES if each != scope))
        alone = await key_with(gateway, scope)
        for method in (each for each in METHODS if each.scope == scope):
            assert await by(gateway, method, without.secret) == SCOPE_MISSING, method
            ends = not method.name.endswith(("/Drain", "/WatchProviderHealth"))
            assert not ends or await by(gateway, method, alone.secret) != SCOPE_MISSING, method
    assert all(method.scope for method in METHODS)


async def by(gateway: RunningGateway, method: Method, key: str) -> Refusal:
    return await refusal(send(gateway.channel, method.name, b"", gateway.metadata(key=key)))


async def test_a_missing_scope_is_named(gateway: RunningGateway) -> None:
    made = await key_with(gateway, "chat:read")
    asked = chat_pb2.CompleteRequest(input=question("hi"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.chat.Complete(asked, metadata=gateway.metadata(key=made.secret))
    assert detail_of(refused.value, error_details_pb2.ErrorInfo).metadata == {"scope": "chat:write"}


async def test_wildcards_grant_no_more_than_they_say(gateway: RunningGateway) -> None:
    chat = await key_with(gateway, "chat:*")
    assert await told(gateway, gateway.metadata(key=chat.secret)) == OK
    balance = gateway.credits.GetBalance(credits_pb2.GetBalanceRequest(), metadata=gateway.metadata(key=chat.secret))
    assert await refusal(balance) == SCOPE_MISSING


# Deadlines.


async def test_a_deadline_that_is_almost_over_starts_nothing(books: Books, gateway: RunningGateway) -> None:
    asked = chat_pb2.CompleteRequest(input=question("hi", "sandbox/slow"))
    for timeout_s in (-1, 0, 0.02, 0.045):
        call = gateway.chat.Complete(asked, metadata=gateway.metadata("ada"), timeout=timeout_s)
        assert (await refusal(call)).code == "DEADLINE_EXCEEDED"
    assert await books.holds() == []


async def test_a_deadline_of_thirty_years_is_cut_to_the_longest(books: Books, gateway: RunningGateway) -> None:
    asked = chat_pb2.CompleteRequest(input=question("hi"))
    await gateway.chat.Complete(asked, metadata=gateway.metadata("ada"), timeout=1e9)
    (hold,) = await books.holds()
    assert hold["expires_at"] - hold["created_at"] <= timedelta(hours=1)


# Metadata.


async def test_metadata_of_9_to_17_kb(gateway: RunningGateway) -> None:
    """From 8 KiB on gRPC may refuse, from 16 KiB on it does; the connection goes on."""
    heard = [await told(gateway, (*gateway.metadata(), ("x-much", "x" * 1000 * size))) for size in (9, 12, 17)]
    assert all(each.code in ("OK", "RESOURCE_EXHAUSTED") for each in heard)
    assert heard[-1].code == "RESOURCE_EXHAUSTED"
    assert await told(gateway, (*gateway.metadata(), *((f"x-{n}", "x") for n in range(100)))) == OK


@pytest.mark.parametrize("name", ["x-trunkline-user", "x-trunkline-account", "x-trunkline-priority", "idempotency-key"])
async def test_a_name_given_twice_is_refused(gateway: RunningGateway, name: str) -> None:
    assert await told(gateway, (*gateway.metadata(), (name, "a"), (name, "b"))) == invalid(name)


async def test_names_of_users(books: Books, gateway: RunningGateway) -> None:
    """Printable ASCII is all that metadata carries; what is left to check is the length."""
    assert await told(gateway, gateway.metadata("x" * 255)) == OK
    assert await told(gateway, gateway.metadata("x" * 256)) == invalid("x-trunkline-user")
    assert await told(gateway, gateway.metadata("x" * 6000)) == invalid("x-trunkline-user")
    assert await told(gateway, gateway.metadata("'; DROP TABLE account; --")) == OK
    assert {row["user_id"] for row in await books.usage()} == {"x" * 255, "'; DROP TABLE account; --"}


async def test_accounts_that_are_not_the_callers(gateway: RunningGateway) -> None:
    for account in ("acct", "acct_1", "acct_" + "g" * 32, "cmpl_" + "0" * 32, "../1"):
        heard = await told(gateway, gateway.metadata(x_trunkline_account=account))
        assert heard == invalid("x-trunkline-account"), account
    unknown = await told(gateway, gateway.metadata(x_trunkline_account="acct_" + "0" * 32))
    assert unknown == ("NOT_FOUND", "RESOURCE_NOT_FOUND", "")


async def test_request_ids(gateway: RunningGateway) -> None:
    metadata = gateway.metadata()
    for key in ("x" * 256, "a\x00b", "a\nb", "é", "\u202e"):
        assert await told(gateway, metadata, request_id=key) == invalid("request_id"), key
    assert await told(gateway, gateway.metadata(idempotency_key="x" * 256)) == invalid("request_id")
    assert await told(gateway, gateway.metadata(idempotency_key="one"), request_id="two") == invalid("request_id")
    assert await told(gateway, gateway.metadata(idempotency_key="one"), request_id="one") == OK
    assert await told(gateway, metadata, request_id="x" * 255) == OK


async def test_an_odd_x_request_id_is_replaced(gateway: RunningGateway) -> None:
    sent = {"plain-1": True, "x" * 128: True, "x" * 129: False, "x" * 6000: False}
    for name, kept in sent.items():
        call = gateway.chat.Complete(
            chat_pb2.CompleteRequest(input=question("hi")), metadata=gateway.metadata(x_request_id=name)
        )
        await call
        returned = dict(await call.trailing_metadata() or ())["x-request-id"]
        assert (returned == name) is kept, name
        assert kept or str(returned).startswith("req_")


# Errors that arrive.


async def test_a_long_error_still_arrives_whole(gateway: RunningGateway) -> None:
    """Above 8 KiB gRPC loses the code; a caller can make names in our messages as long as they like."""
    name = "api" + "_" * 100_000 + "key"
    asked = chat_pb2.CompleteRequest(
        input=question("hi", provider_options_json={"sandbox": f'{{"{name}": 1}}'}), request_id="r"
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.chat.Complete(asked, metadata=gateway.metadata())
    assert reason_of(refused.value) == "VALIDATION"
    assert len(refused.value.details() or "") <= 512
    assert status_of(refused.value).ByteSize() <= 4096
    assert detail_of(refused.value, error_details_pb2.RequestInfo).request_id


async def test_many_wrong_fields_are_told_as_far_as_they_fit(gateway: RunningGateway) -> None:
    asked = chat_pb2.CompleteRequest(input=question("hi", labels={"é" * 5000 + str(n): "" for n in range(16)}))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.chat.Complete(asked, metadata=gateway.metadata())
    assert refusal_of(refused.value).reason == "VALIDATION"
    assert len(detail_of(refused.value, error_details_pb2.BadRequest).field_violations) > 1
    assert status_of(refused.value).ByteSize() <= 4096
