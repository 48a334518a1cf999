"""TLS over sockets, at both doors: our certificates, which change, and those of callers, whose names may do things."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.fixtures.authority import Authority, Certified
from tests.fixtures.gateway import RunningGateway, StartGateway, question, text_of
from tests.fixtures.refusal import Refusal, refusal
from trunkline.v1 import chat_pb2, chat_pb2_grpc
from trunkline_server.door.tls import Tls, TlsSettings
from trunkline_server.house.start import StartError

SHOP: Final = "spiffe://example.org/ns/shop/sa/assistant"
IDENTITIES: Final = [
    {"name": SHOP, "scopes": ["chat:write"], "models": ["sandbox/echo"]},
    {"name": "spiffe://example.org/ns/watch/*", "scopes": ["models:read"]},
    {"name": "spiffe://example.org/ns/nowhere", "scopes": ["*"], "tenant": "nowhere"},
]


@dataclass
class Secured:
    """A gateway behind TLS, and those who call it."""

    gateway: RunningGateway
    authority: Authority

    def channel(self, shown: Certified | None = None) -> Any:
        key, chain = (shown.key, shown.certificate) if shown else (None, None)
        credentials = grpc.ssl_channel_credentials(self.authority.certificate, key, chain)
        return grpc.aio.secure_channel(self.gateway.house.grpc_address, credentials)

    async def chat(self, shown: Certified | None = None, model: str = "sandbox/echo", **said: str) -> str:
        async with self.channel(shown) as channel:
            stub: chat_pb2_grpc.ChatServiceAsyncStub = chat_pb2_grpc.ChatServiceStub(channel)
            request = chat_pb2.CompleteRequest(input=question("hi", model))
            metadata = tuple(said.items())
            return text_of((await stub.Complete(request, metadata=metadata, timeout=20)).completion)

    async def ask_http(
        self, path: str, shown: tuple[Path, Path] | None = None, body: bytes = b"", more: str = ""
    ) -> bytes:
        context = ssl.create_default_context(cadata=self.authority.certificate.decode())
        if shown:
            context.load_cert_chain(*shown)
        host, _, port = self.gateway.house.http_address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n{more}"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        async with asyncio.timeout(20):
            answer = await reader.read()
        writer.close()
        return answer


def tls_of(authority: Authority, folder: Path, **more: str) -> dict[str, str]:
    certificate, key = authority.server().write(folder, "server")
    (folder / "clients.crt").write_bytes(authority.certificate)
    return {"certificate_file": str(certificate), "key_file": str(key), **more}


@pytest.fixture
async def secured(start_gateway: StartGateway, tmp_path: Path) -> Secured:
    authority = Authority()
    tls = tls_of(authority, tmp_path, client_ca_file=str(tmp_path / "clients.crt"), client_auth="optional")
    auth = {"identities": json.dumps(IDENTITIES)}
    return Secured(await start_gateway(tls=tls, auth=auth, grpc={"health_address": "127.0.0.1:0"}), authority)


async def test_a_key_goes_over_tls(secured: Secured) -> None:
    assert await secured.chat(authorization=f"Bearer {secured.gateway.key}") == "hi"
    assert (await refusal(secured.chat())).reason == "AUTH_MISSING"


async def test_who_speaks_in_the_clear_is_not_heard(secured: Secured) -> None:
    async with grpc.aio.insecure_channel(secured.gateway.house.grpc_address) as channel:
        stub: chat_pb2_grpc.ChatServiceAsyncStub = chat_pb2_grpc.ChatServiceStub(channel)
        call = stub.Complete(chat_pb2.CompleteRequest(input=question("hi")), timeout=20)
        assert (await refusal(call)).code == "UNAVAILABLE"


async def test_a_name_in_a_certificate_is_a_caller(secured: Secured) -> None:
    workload = secured.authority.workload(SHOP)
    assert await secured.chat(workload) == "hi"
    assert (await refusal(secured.chat(workload, "sandbox/count"))).code == "PERMISSION_DENIED"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("spiffe://example.org/ns/watch/sa/any", Refusal("PERMISSION_DENIED", "SCOPE_MISSING")),
        ("spiffe://example.org/ns/watch", Refusal("UNAUTHENTICATED", "AUTH_MISSING")),
        (f"{SHOP}2", Refusal("UNAUTHENTICATED", "AUTH_MISSING")),
        ("spiffe://example.org/ns/nowhere", Refusal("UNAUTHENTICATED", "AUTH_INVALID")),
    ],
)
async def test_a_name_may_what_the_settings_say(secured: Secured, name: str, told: Refusal) -> None:
    assert await refusal(secured.chat(secured.authority.workload(name))) == told


async def test_a_key_counts_before_a_certificate(secured: Secured) -> None:
    workload = secured.authority.workload(SHOP)
    assert (await refusal(secured.chat(workload, authorization="Bearer no"))).reason == "AUTH_INVALID"


async def test_certificates_of_strangers_are_refused_at_the_handshake(secured: Secured) -> None:
    stranger = Authority("stranger").workload(SHOP)
    assert (await refusal(secured.chat(stranger))).code == "UNAVAILABLE"


async def test_the_other_door_knows_the_same_names(secured: Secured, tmp_path: Path) -> None:
    body = json_format.MessageToJson(chat_pb2.CompleteRequest(input=question("hi"))).encode()
    path = "/trunkline.v1.ChatService/Complete"
    shown = secured.authority.workload(SHOP).write(tmp_path, "workload")
    assert b"200 OK" in (await secured.ask_http(path, shown, body)).split(b"\r\n", 1)[0]
    assert b"401" in (await secured.ask_http(path, None, body)).split(b"\r\n", 1)[0]


async def test_sessions_of_the_dashboard_go_no_other_way(secured: Secured) -> None:
    told = await secured.ask_http("/dashboard/session/end", more="x-trunkline-dashboard: 1\r\n")
    assert b"; SameSite=Strict; Secure\r\n" in told


async def test_probes_ask_for_health_in_the_clear_and_for_nothing_else(secured: Secured) -> None:
    async with grpc.aio.insecure_channel(secured.gateway.house.server.health_address) as channel:
        probe: Any = health_pb2_grpc.HealthStub(channel)
        answer = await probe.Check(health_pb2.HealthCheckRequest(service="readiness"), timeout=20)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        chat: chat_pb2_grpc.ChatServiceAsyncStub = chat_pb2_grpc.ChatServiceStub(channel)
        call = chat.Complete(chat_pb2.CompleteRequest(), metadata=secured.gateway.metadata(), timeout=20)
        assert (await refusal(call)).code == "UNIMPLEMENTED"


async def test_nobody_without_a_certificate_gets_in_where_it_is_required(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    authority = Authority()
    tls = tls_of(authority, tmp_path, client_ca_file=str(tmp_path / "clients.crt"), client_auth="required")
    secured = Secured(await start_gateway(tls=tls), authority)
    key = f"Bearer {secured.gateway.key}"
    assert (await refusal(secured.chat(authorization=key))).code == "UNAVAILABLE"
    assert await secured.chat(authority.workload("spiffe://any/any"), authorization=key) == "hi"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"certificate_file": "a"}, "tls: needs both"),
        ({"client_auth": "required"}, "tls.client_auth: needs"),
        ({"certificate_file": "a", "key_file": "b"}, "No such file"),
    ],
)
async def test_half_of_it_does_not_start(start_gateway: StartGateway, given: dict[str, str], told: str) -> None:
    with pytest.raises(StartError, match=told):
        await start_gateway(tls=given)


# Files that change.


class Line:
    """A server that does nothing but shake hands."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.folder = folder
        authority.server("first").write(folder, "server")
        self.admit(authority)
        certificate, key, clients = (str(folder / name) for name in ("server.crt", "server.key", "clients.crt"))
        self.tls = Tls(TlsSettings(certificate, key, clients, "required"), ("h2",))

    def admit(self, *authorities: Authority) -> None:
        (self.folder / "clients.crt").write_bytes(b"".join(each.certificate for each in authorities))

    def shaken(self, trusted: Authority, shown: Certified) -> str:
        """The name that the server shows. Raises ssl.SSLError where one of the two does not believe the other."""
        context = ssl.create_default_context(cadata=trusted.certificate.decode())
        context.load_cert_chain(*shown.write(self.folder, "client"))
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = self.tls.context.wrap_bio(to_server, to_client, server_side=True)
        client = context.wrap_bio(to_client, to_server, server_hostname="localhost")
        for each in (client, server, client, server):
            try:
                each.do_handshake()
            except ssl.SSLWantReadError:
                continue
        certificate: Any = client.getpeercert()
        return str(dict(pair for (pair,) in certificate["subject"])["commonName"])


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def line(tmp_path: Path, authority: Authority) -> Line:
    return Line(tmp_path, authority)


async def test_a_new_certificate_counts_from_the_next_connection_on(line: Line, authority: Authority) -> None:
    shown = authority.workload(SHOP)
    assert line.shaken(authority, shown) == "first"
    authority.server("second").write(line.folder, "server")
    assert line.shaken(authority, shown) == "first"
    await line.tls.reload()
    assert line.shaken(authority, shown) == "second"


async def test_authorities_of_callers_come_and_go(line: Line, authority: Authority) -> None:
    other = Authority("other")
    with pytest.raises(ssl.SSLError):
        line.shaken(authority, other.workload(SHOP))
    line.admit(other)
    await line.tls.reload()
    assert line.shaken(authority, other.workload(SHOP)) == "first"
    with pytest.raises(ssl.SSLError):
        line.shaken(authority, authority.workload(SHOP))


async def test_files_that_do_not_fit_leave_the_old_ones(line: Line, authority: Authority) -> None:
    shown = authority.workload(SHOP)
    (line.folder / "server.key").write_bytes(authority.server().key)
    await line.tls.reload()
    assert line.shaken(authority, shown) == "first"
    (line.folder / "server.key").unlink()
    await line.tls.reload()
    assert line.shaken(authority, shown) == "first"
    authority.server("second").write(line.folder, "server")
    await line.tls.reload()
    assert line.shaken(authority, shown) == "second"
