"""Tokens of other issuers: believed where their signature, audience, time and issuer fit, and never otherwise."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Self

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from google.protobuf import json_format

from tests.fixtures.gateway import RunningGateway, StartGateway, question, text_of
from tests.fixtures.http import Http
from tests.fixtures.refusal import refusal
from trunkline.v1 import chat_pb2, credits_pb2, jobs_pb2
from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.door.issuers import FETCH_EVERY_S, KEPT_S, Claimed, Issuer, Issuers

ISSUER: Final = "https://login.example.com/"
KEY: Final = ec.generate_private_key(ec.SECP256R1())
OTHER: Final = ec.generate_private_key(ec.SECP256R1())


@dataclass
class Login:
    """An issuer: what it publishes, and how often it was asked."""

    keys: dict[str, Any] = field(default_factory=lambda: {"one": KEY})
    fetches: int = 0
    now: float = 0.0
    away: bool = False
    scope_claim: str = ""
    algorithms: tuple[str, ...] = ("ES256", "RS256", "EdDSA")

    def issuers(self) -> Issuers:
        known = Issuer(
            issuer=ISSUER,
            audience="trunkline",
            jwks_uri=f"{ISSUER}keys",
            algorithms=self.algorithms,
            tenant="shop",
            scopes=frozenset(("chat:*", "models:read")),
            scope_claim=self.scope_claim,
            user_claim="sub",
        )
        return Issuers([known], self._fetch, lambda: self.now)

    async def _fetch(self, uri: str) -> bytes:
        assert uri == f"{ISSUER}keys"
        self.fetches += 1
        if self.away:
            raise invalid("auth.issuers", "does not answer")
        return json.dumps({"keys": [published(name, key) for name, key in self.keys.items()]}).encode()


def published(name: str, key: Any) -> dict[str, Any]:
    algorithms: dict[type, Any] = {
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    spell = next(spelling for kind, spelling in algorithms.items() if isinstance(key, kind))
    told: dict[str, Any] = spell.to_jwk(key.public_key(), as_dict=True)
    return {**told, "kid": name}


def claims(**more: Any) -> dict[str, Any]:
    said = {"iss": ISSUER, "aud": "trunkline", "sub": "ada", "exp": time.time() + 600}
    return {name: value for name, value in (said | more).items() if value is not None}


def token(key: Any = KEY, name: str = "one", algorithm: str = "ES256", **more: Any) -> str:
    return jwt.encode(claims(**more), key, algorithm, headers={"kid": name})


async def read(text: str, login: Login | None = None) -> Claimed:
    return await (login or Login()).issuers().read(text)


async def test_what_fits_is_believed() -> None:
    told = await read(token())
    assert (told.principal, told.tenant, told.user_id) == (f"{ISSUER}#ada", "shop", "ada")
    assert told.scopes == {"chat:*", "models:read"}


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(rsa.generate_private_key(65537, 2048), "RS256"), (ed25519.Ed25519PrivateKey.generate(), "EdDSA")],
    ids=("RS256", "EdDSA"),
)
async def test_each_kind_of_key(key: Any, algorithm: str) -> None:
    login = Login({"other": key})
    assert (await read(token(key, "other", algorithm), login)).user_id == "ada"


BAD: Final[dict[str, Callable[[], str]]] = {
    "signed by another key": lambda: token(OTHER),
    "signed with a secret": lambda: jwt.encode(claims(), "x" * 32, "HS256", headers={"kid": "one"}),
    "not signed": lambda: jwt.encode(claims(), "", "none", headers={"kid": "one"}),
    "of another key's name": lambda: token(name="two"),
    "for somebody else": lambda: token(aud="others"),
    "for nobody": lambda: token(aud=None),
    "of another issuer": lambda: token(iss="https://evil.example.com/"),
    "for ever": lambda: token(exp=None),
    "longer than there are years": lambda: token(exp=10**18),
    "without end": lambda: token(exp=float("inf")),
    "of the future": lambda: token(nbf=time.time() + 600),
    "of nobody": lambda: token(sub=None),
    "of a strange name": lambda: token(sub="a\nb"),
    "too long": lambda: token(more="x" * 9000),
    "torn": lambda: token()[:-2],
    "nothing": lambda: "..",
}


@pytest.mark.parametrize("why", BAD)
async def test_what_does_not_fit_is_refused(why: str) -> None:
    with pytest.raises(TrunklineError) as caught:
        await read(BAD[why]())
    assert (caught.value.reason, caught.value.message) == (Reason.AUTH_INVALID, "the token is not valid")


async def test_a_time_that_is_over_is_told_and_clocks_may_differ_by_a_minute() -> None:
    assert (await read(token(exp=time.time() - 30))).user_id == "ada"
    with pytest.raises(TrunklineError) as caught:
        await read(token(exp=time.time() - 90))
    assert caught.value.reason is Reason.AUTH_EXPIRED


async def test_an_algorithm_that_was_not_agreed_on_is_refused() -> None:
    with pytest.raises(TrunklineError):
        await read(token(), Login(algorithms=("RS256",)))


async def test_a_token_may_do_less_and_never_more() -> None:
    login = Login(scope_claim="scope")
    assert (await read(token(scope="chat:write admin:drain *"), login)).scopes == {"chat:write"}
    assert (await read(token(scope=["models:read"]), login)).scopes == {"models:read"}
    assert (await read(token(), login)).scopes == frozenset()
    with pytest.raises(TrunklineError):
        await read(token(scope=7), login)


async def test_keys_are_fetched_once_and_for_new_names_once_a_minute() -> None:
    login = Login()
    issuers = login.issuers()
    await issuers.read(token())
    await issuers.read(token())
    assert login.fetches == 1
    login.keys["two"] = OTHER
    for _ in range(2):
        with pytest.raises(TrunklineError):
            await issuers.read(token(OTHER, "two"))
    assert login.fetches == 1
    login.now += FETCH_EVERY_S + 1
    assert (await issuers.read(token(OTHER, "two"))).user_id == "ada"
    assert login.fetches == 2


async def test_a_key_that_was_taken_back_stops_counting() -> None:
    login = Login()
    issuers = login.issuers()
    await issuers.read(token())
    login.keys = {"two": OTHER}
    login.now += KEPT_S + 1
    with pytest.raises(TrunklineError):
        await issuers.read(token())


async def test_an_issuer_that_is_away_is_told_and_what_was_known_goes_on() -> None:
    login = Login(away=True)
    issuers = login.issuers()
    with pytest.raises(TrunklineError) as caught:
        await issuers.read(token())
    assert caught.value.reason is Reason.STORE_UNAVAILABLE
    login.away, login.now = False, FETCH_EVERY_S + 1
    await issuers.read(token())
    login.away, login.now = True, login.now + KEPT_S + 1
    assert (await issuers.read(token())).user_id == "ada"


async def test_both_doors_take_a_token_and_its_user_alone(start_gateway: StartGateway) -> None:
    async with Published(Login()) as site:
        issuer = {
            "issuer": ISSUER,
            "audience": "trunkline",
            "jwks_uri": site.uri,
            "scopes": ["chat:write", "jobs:write"],
            "algorithms": ["ES256"],
        }
        allowed = dict.fromkeys(("allow_http_hosts", "allow_private_hosts"), json.dumps([site.host]))
        gateway = await start_gateway(auth={"issuers": json.dumps([issuer])}, egress=allowed)
        metadata = gateway.metadata(key=token())
        request = chat_pb2.CompleteRequest(input=question("hi"))
        assert text_of((await gateway.chat.Complete(request, metadata=metadata)).completion) == "hi"
        path, body = "/trunkline.v1.ChatService/Complete", json_format.MessageToJson(request).encode()
        told = await Http(gateway).post(path, body=body, authorization=metadata[0][1])
        assert told.status == 200
        other = gateway.metadata(key=token(), user="eve")
        payer = ("x-trunkline-account", ids.spell("acct", ids.new_uuid()))
        for asking in (other, (*metadata, payer)):
            assert (await refusal(gateway.chat.Complete(request, metadata=asking))).reason == "FIELD_FORBIDDEN"
        job = await ended_job(gateway, "eve")
        theirs = gateway.jobs.RetryJob(jobs_pb2.RetryJobRequest(job_id=job.job_id), metadata=metadata)
        assert await refusal(theirs) == ("PERMISSION_DENIED", "FIELD_FORBIDDEN", "job_id")
        balance = gateway.credits.ListAccounts(credits_pb2.ListAccountsRequest(), metadata=metadata)
        assert (await refusal(balance)).reason == "SCOPE_MISSING"
        accounts = await gateway.credits.ListAccounts(
            credits_pb2.ListAccountsRequest(user_id="ada"), metadata=gateway.metadata()
        )
        assert [account.user_id for account in accounts.accounts] == ["ada"]


async def ended_job(gateway: RunningGateway, user: str) -> jobs_pb2.Job:
    asked = jobs_pb2.CreateJobRequest(spec=jobs_pb2.JobSpec(chat=question("hi")))
    asked.schedule_time.FromSeconds(int(time.time()) + 3600)
    made = await gateway.jobs.CreateJob(asked, metadata=gateway.metadata(user))
    cancel = jobs_pb2.CancelJobRequest(job_id=made.job.job_id)
    return (await gateway.jobs.CancelJob(cancel, metadata=gateway.metadata())).job


class Published:
    """What an issuer publishes, at an address."""

    def __init__(self, login: Login) -> None:
        self._login = login

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.host = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self.uri = f"http://{self.host}/keys"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = await self._login._fetch(f"{ISSUER}keys")
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()
