"""Signed requests: who has the private key gets in, with what they signed, now and once, and nobody else does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from tests.fixtures.gateway import Metadata, RunningGateway, StartGateway, detail_of, question
from tests.fixtures.http import Answered, Http, http
from tests.fixtures.refusal import Refusal, invalid, refusal, refusal_of, send
from tests.fixtures.signing import by_hand, framed, public, signed, signer
from tests.fixtures.until import until
from trunkline.signing import SignedChannel, SigningKey
from trunkline.v1 import admin_pb2, chat_pb2, chat_pb2_grpc, files_pb2
from trunkline_server.core import api_key, message_signature
from trunkline_server.door import signed as door
from trunkline_server.store.database import Database

__all__ = ["http"]

OK: Final = Refusal("OK")
INVALID: Final = Refusal("UNAUTHENTICATED", "AUTH_INVALID")
MISSING: Final = Refusal("UNAUTHENTICATED", "AUTH_MISSING")
REVOKED: Final = Refusal("UNAUTHENTICATED", "AUTH_REVOKED")
STALE: Final = Refusal("UNAUTHENTICATED", "SIGNATURE_STALE")
REPLAYED: Final = Refusal("UNAUTHENTICATED", "SIGNATURE_REPLAYED")
COMPLETE: Final = "/trunkline.v1.ChatService/Complete"
STREAM: Final = "/trunkline.v1.ChatService/Stream"
GET_MODEL: Final = "/trunkline.v1.ModelService/GetModel"
ASKED: Final = chat_pb2.CompleteRequest(input=question("hi")).SerializeToString()
JSON: Final = b'{"input":{"model":"sandbox/echo","messages":[{"role":"ROLE_USER","parts":[{"text":{"text":"hi"}}]}]}}'


async def heard(gateway: RunningGateway, metadata: Metadata, method: str = COMPLETE, message: bytes = ASKED) -> Refusal:
    """How a call with exactly these bytes ends."""
    return await refusal(send(gateway.channel, method, message, metadata))


async def posted(http: Http, fields: dict[str, str], path: str = COMPLETE, body: bytes = JSON, **more: Any) -> Answered:
    return await http.send(http.request(path, body, authorization="", **fields, **more))


def sealed(key: SigningKey, path: str = COMPLETE, body: bytes = JSON, **fields: str) -> dict[str, str]:
    """The headers of a signed request in JSON."""
    given = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in fields.items()}
    return given | key.sign("POST", path, body, given)


def changed(metadata: Iterable[tuple[str, str]], **fields: str) -> Metadata:
    """With other values; an empty one is left out."""
    told = dict(metadata) | {name.replace("_", "-"): value for name, value in fields.items()}
    return tuple((name, value) for name, value in told.items() if value)


async def test_a_signed_call_is_any_call(gateway: RunningGateway, http: Http) -> None:
    key = await signer(gateway)
    channel: Any = SignedChannel(gateway.channel, key)
    chat: chat_pb2_grpc.ChatServiceAsyncStub = chat_pb2_grpc.ChatServiceStub(channel)
    told = (("x-trunkline-user", "ada"), ("traceparent", "00-" + "1" * 32 + "-" + "2" * 16 + "-01"))
    answer = await chat.Complete(chat_pb2.CompleteRequest(input=question("hi")), metadata=told)
    assert answer.completion.charge.nanos > 0
    events = [each async for each in chat.Stream(chat_pb2.StreamRequest(input=question("hi")))]
    assert events[-1].event.HasField("completed")

    assert (await posted(http, sealed(key, x_trunkline_user="ada", idempotency_key="one"))).status == 200
    spelled = b'{"model":"sandbox/echo","messages":[{"role":"user","content":"hi"}]}'
    path = "/v1/chat/completions"
    assert (await posted(http, sealed(key, path, spelled), path, spelled)).status == 200
    target = f"{GET_MODEL}?encoding=json&message=%7B%22name%22%3A%22sandbox%2Fecho%22%7D"
    assert (await http.get(target, authorization="", **key.sign("GET", target, b""))).status == 200


async def test_there_is_no_secret_and_else_it_is_a_key_like_any_other(
    gateway: RunningGateway, database: Database
) -> None:
    key = await signer(gateway)
    row = await database.fetchrow("SELECT * FROM api_key WHERE key_id = $1", key.key_id)
    assert row is not None
    assert (row["secret_hash"], row["public_key"]) == (b"", public(key))
    bearer = (("authorization", f"Bearer {api_key.make('live', key.key_id).text}"),)
    assert await heard(gateway, bearer) == INVALID
    assert await heard(gateway, ()) == MISSING
    reader = await signer(gateway, "models:read")
    assert await heard(gateway, signed(reader, COMPLETE, ASKED)) == Refusal("PERMISSION_DENIED", "SCOPE_MISSING")
    both = (*gateway.metadata(), *signed(key, STREAM, b"of something else"))
    assert await heard(gateway, both) == OK, "a token counts before a signature"


async def test_a_call_that_was_changed_on_its_way_is_refused(gateway: RunningGateway) -> None:
    key, other = await signer(gateway), SigningKey("x" * 12, Ed25519PrivateKey.generate())
    secret = api_key.parse(gateway.key)
    assert secret is not None
    fields = {"x-trunkline-user": "ada", "x-request-id": "r", "idempotency-key": "i"}

    def good() -> Metadata:
        return signed(key, COMPLETE, ASKED, fields)

    second = signed(key, COMPLETE, b"other", fields)
    attacks: dict[str, Metadata] = {
        "another user": changed(good(), x_trunkline_user="eve"),
        "no user": changed(good(), x_trunkline_user=""),
        "another name": changed(good(), idempotency_key="j"),
        "another request id": changed(good(), x_request_id="s"),
        "a user who was not signed": changed(signed(key, COMPLETE, ASKED), x_trunkline_user="eve"),
        "an account that was not signed": changed(good(), x_trunkline_account="acct"),
        "a priority that was not signed": changed(good(), x_trunkline_priority="critical"),
        "a digest that was not signed": changed(good(), content_digest=dict(second)["content-digest"]),
        "another content": second,
        "another method": signed(key, STREAM, ASKED, fields),
        "another verb": tuple((fields | key.sign("GET", COMPLETE, framed(ASKED), fields)).items()),
        "two signatures": (*good(), *good()),
        "a second input": (*good(), ("signature-input", dict(second)["signature-input"])),
        "no input": changed(good(), signature_input=""),
        "no digest": changed(good(), content_digest=""),
        "another's private key": signed(replace(other, key_id=key.key_id), COMPLETE, ASKED),
        "a key that is not there": signed(other, COMPLETE, ASKED),
        "a key that has a secret": signed(replace(key, key_id=secret.key_id), COMPLETE, ASKED),
    }
    assert {name: await heard(gateway, sent) for name, sent in attacks.items()} == dict.fromkeys(attacks, INVALID)
    assert await heard(gateway, good()) == OK, "and as it was signed it is taken"


async def test_a_request_that_was_changed_on_its_way_is_refused(gateway: RunningGateway, http: Http) -> None:
    key = await signer(gateway)
    query = f"{GET_MODEL}?message=%7B%22name%22%3A%22sandbox%2Fecho%22%7D"
    cases = {
        "another body": posted(http, sealed(key), body=JSON.replace(b"hi", b"ho")),
        "another path": posted(http, sealed(key), STREAM),
        "the path spelled otherwise": posted(http, sealed(key), COMPLETE.replace("Chat", "%43hat")),
        "a query that was not signed": posted(http, sealed(key), f"{COMPLETE}?a=b"),
        "another query": http.get(query + "&base64=1", authorization="", **key.sign("GET", query, b"")),
        "another verb": http.get(query, authorization="", **key.sign("POST", query, b"")),
        "a type that was not signed": posted(http, key.sign("POST", COMPLETE, JSON)),
        "by the other door": posted(
            http,
            dict(signed(key, COMPLETE, ASKED)) | {"content-type": "application/grpc-web+proto"},
            body=framed(ASKED),
        ),
    }
    answers = {name: await case for name, case in cases.items()}
    heard = {name: (each.status, each.headers.get("grpc-status")) for name, each in answers.items()}
    by_web = heard.pop("by the other door")
    assert heard == dict.fromkeys(heard, (401, None))
    assert by_web[0] == 200
    assert b"grpc-status:16" in answers["by the other door"].body.replace(b" ", b"")


async def test_what_has_to_be_signed_has_to_be_signed(gateway: RunningGateway) -> None:
    key = await signer(gateway)
    needed = ("@method", "@path", "content-digest", "x-trunkline-user", "created", "nonce", "keyid", "alg")
    told = {name: await heard(gateway, by_hand(key, COMPLETE, ASKED, without=name)) for name in needed}
    assert told == dict.fromkeys(needed, INVALID)
    assert await heard(gateway, by_hand(key, COMPLETE, ASKED)) == OK
    assert await heard(gateway, by_hand(key, COMPLETE, ASKED, alg='"rsa-pss-sha512"')) == INVALID


async def test_a_signature_is_of_now(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(auth={"signature_window_s": 600})
    key, now = await signer(gateway), int(time.time())
    old, ahead = (signed(key, COMPLETE, ASKED, created_s=now + skew) for skew in (-900, 900))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await send(gateway.channel, COMPLETE, ASKED, old)
    assert refusal_of(refused.value) == STALE
    told = detail_of(refused.value, error_details_pb2.ErrorInfo).metadata
    assert (-1000 < int(told["clockSkewS"]) <= -900, told["windowS"]) == (True, "600")
    assert await heard(gateway, ahead) == STALE
    assert await heard(gateway, by_hand(key, COMPLETE, ASKED, expires=str(now - 1))) == STALE
    taken = [signed(key, COMPLETE, ASKED, created_s=now + skew) for skew in (-300, 300)]
    taken.append(by_hand(key, COMPLETE, ASKED, expires=str(now + 300)))
    assert [await heard(gateway, each) for each in taken] == [OK] * 3


async def test_a_request_comes_once_wherever_it_comes(start_gateway: StartGateway) -> None:
    first, second = await start_gateway(), await start_gateway()
    key, other = await signer(first), await signer(first)
    request = signed(key, COMPLETE, ASKED, nonce="n" * 24)
    told = await asyncio.gather(*(heard(each, request) for each in (first, second) * 4))
    assert sorted(told) == sorted([OK] + [REPLAYED] * 7)
    assert await heard(second, signed(key, COMPLETE, b"", nonce="n" * 24)) == REPLAYED
    assert await heard(second, signed(other, COMPLETE, ASKED, nonce="n" * 24)) == OK, "each key has its own"
    body = sealed(key)
    assert [(await posted(Http(each), body)).status for each in (first, second)] == [200, 401]


async def test_a_revoked_key_is_told_to_its_owner_alone(start_gateway: StartGateway) -> None:
    first, second = await start_gateway(), await start_gateway()
    key = await signer(first)
    thief = replace(key, private_key=Ed25519PrivateKey.generate())
    assert await heard(second, signed(key, COMPLETE, ASKED)) == OK
    await first.admin.RevokeApiKey(admin_pb2.RevokeApiKeyRequest(key_id=key.key_id), metadata=first.metadata())

    async def forgotten() -> bool:
        return await heard(second, signed(key, COMPLETE, ASKED)) == REVOKED

    await until(forgotten)
    assert await heard(second, signed(thief, COMPLETE, ASKED)) == INVALID


async def test_two_public_keys_count_until_the_older_one_s_time_is_up(gateway: RunningGateway) -> None:
    old = await signer(gateway)
    new, newest = (replace(old, private_key=Ed25519PrivateKey.generate()) for _ in range(2))

    async def rotate(to: SigningKey, overlap_s: int) -> None:
        asked = admin_pb2.RotateApiKeyRequest(
            key_id=old.key_id, public_key=public(to), overlap=Duration(seconds=overlap_s)
        )
        told = await gateway.admin.RotateApiKey(asked, metadata=gateway.metadata())
        assert (told.secret, told.api_key.public_key) == ("", public(to))

    async def good() -> list[bool]:
        return [await heard(gateway, signed(key, COMPLETE, ASKED)) == OK for key in (old, new, newest)]

    async def come_to(told: list[bool]) -> None:
        async def there() -> bool:
            return await good() == told

        await until(there)

    await come_to([True, False, False])
    await rotate(new, 3600)
    await come_to([True, True, False])
    await rotate(newest, 0)
    await come_to([False, False, True])


async def test_a_key_stays_of_its_kind(gateway: RunningGateway) -> None:
    key = await signer(gateway)
    secret = api_key.parse(gateway.key)
    assert secret is not None
    refused = [
        admin_pb2.RotateApiKeyRequest(key_id=key.key_id),
        admin_pb2.RotateApiKeyRequest(key_id=secret.key_id, public_key=public(key)),
        admin_pb2.RotateApiKeyRequest(key_id=key.key_id, public_key=bytes(32)),
        admin_pb2.RotateApiKeyRequest(key_id=key.key_id, public_key=b""),
        admin_pb2.RotateApiKeyRequest(key_id=key.key_id, public_key=public(key) + b"x"),
    ]
    told = [await refusal(gateway.admin.RotateApiKey(each, metadata=gateway.metadata())) for each in refused]
    assert told == [invalid("public_key")] * 5


async def test_what_comes_in_many_messages_is_not_signed(gateway: RunningGateway, http: Http) -> None:
    """Its content is not known when it begins; over HTTP it comes in one."""
    key = await signer(gateway)
    upload = files_pb2.UploadFileRequest(
        file=files_pb2.FileSpec(filename="a.txt", media_type="text/plain"), data=b"hello"
    )
    path = "/trunkline.v1.FileService/UploadFile"
    assert (
        await heard(gateway, signed(key, path, upload.SerializeToString()), path, upload.SerializeToString()) == INVALID
    )
    body = upload.SerializeToString()
    fields = {"content-type": "application/proto"}
    answer = await posted(http, fields | key.sign("POST", path, body, fields), path, body)
    assert files_pb2.UploadFileResponse.FromString(answer.body).file.received_bytes == 5

    offered = {"upgrade": "websocket", "sec-websocket-key": "x", "sec-websocket-version": "13", "connection": "upgrade"}
    assert (await http.get("/ws", authorization="", **offered, **key.sign("GET", "/ws", b""))).status == 401


async def test_a_signature_is_verified_once_and_for_nobody_as_well(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await signer(gateway)
    stranger = SigningKey("x" * 12, key.private_key)
    thief = replace(key, private_key=Ed25519PrivateKey.generate())
    tried: list[int] = []
    verify = message_signature.is_by

    def counted(keys: Any, signature: bytes, base: bytes) -> bool:
        tried.append(len(keys))
        return verify(keys, signature, base)

    monkeypatch.setattr(door, "is_by", counted)
    told = [await heard(gateway, signed(each, COMPLETE, ASKED)) for each in (key, key, thief, stranger)]
    assert (told, tried) == ([OK, OK, INVALID, INVALID], [1, 1, 1, 1])
    assert await heard(gateway, gateway.metadata()) == OK
    assert len(tried) == 4, "who does not sign pays nothing"


async def test_odd_signatures_are_refused_and_never_a_fault(gateway: RunningGateway, http: Http) -> None:
    key = await signer(gateway)
    good = signed(key, COMPLETE, ASKED)
    told = dict(good)
    odd = [
        "x",
        "()",
        "sig=()",
        "sig=(",
        '"' * 3000,
        "sig=" + "(" * 3000,
        "a" * 7000,
        ";" * 3000,
        "sig=:AAAA:",
        ",",
        "=:",
    ]
    names = ("signature", "signature-input", "content-digest")
    sent = [changed(good, **{name: value}) for name in names for value in odd]
    sent += [
        changed(good, signature_input=told["signature-input"].replace(key.key_id, each)) for each in ("", "%00", "'")
    ]
    sent += [tuple((name, "signature") for name in names), (("signature", ""),), (("signature", "x"),) * 50]
    heard_of = {await heard(gateway, each) for each in sent}
    assert heard_of == {INVALID}
    for each in odd:
        for name in names:
            assert (await posted(http, sealed(key) | {name: each})).status == 401, (name, each)
    assert (await posted(http, sealed(key) | {"signature": "\u00e9"})).status == 401
    huge = changed(good, signature_input="a" * 20_000)
    assert await heard(gateway, huge) == Refusal("RESOURCE_EXHAUSTED"), "it does not even get here"
    assert (await posted(http, sealed(key) | {"signature-input": "a" * 40_000})).status in (401, 431)
