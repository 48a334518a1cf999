"""Going away: callers are asked to go elsewhere, no call is lost, and who stays too long is cut off."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fixtures.both_servers import PREFIX, Service, client, ours, rpcs
from tests.fixtures.raw_http2 import (
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PING,
    RESET,
    WINDOW_UPDATE,
    Peer,
    frame,
    header_block,
)
from tests.fixtures.until import until
from trunkline_server.door.code import Code
from trunkline_server.door.http2.exchange import Exchange, Rpc
from trunkline_server.door.http2.limits import Limits
from trunkline_server.door.http2.listener import Listener

ECHO, HANG = PREFIX + "echo", PREFIX + "hang"
ACK = 1
LAST_OF_ALL = 2**31 - 1


@asynccontextmanager
async def listening(service: Service, limits: Limits | None = None) -> AsyncIterator[tuple[Listener, int]]:
    listener = Listener(rpcs(service), limits or Limits())
    port = await listener.start("127.0.0.1", 0)
    try:
        yield listener, port
    finally:
        await listener.stop(0)


async def test_goaway_in_two_steps() -> None:
    """What was sent before the caller knew is still served."""
    async with listening(Service()) as (listener, port), Peer.at(port) as peer:
        peer.call(ECHO, b"before")
        await peer.hear_until(DATA, 1)
        stopping = asyncio.ensure_future(listener.stop(10))
        warning, ping = await peer.hear_until(GOAWAY), await peer.hear_until(PING)
        assert int.from_bytes(warning.payload[:4]) == LAST_OF_ALL
        peer.call(ECHO, b"on its way", stream=3)
        assert (await peer.hear_until(DATA, 3)).payload[5:] == b"on its way"
        peer.say(frame(PING, ping.payload, ACK))
        last = await peer.hear_until(GOAWAY)
        assert int.from_bytes(last.payload[:4]) == 3
        assert await peer.hear() is None
        await stopping


async def test_calls_after_the_last_word_are_not_served() -> None:
    service = Service()
    async with listening(service) as (listener, port), Peer.at(port) as peer:
        peer.call(HANG)
        await service.seen.started.wait()
        stopping = asyncio.ensure_future(listener.stop(30))
        ping = await peer.hear_until(PING)
        peer.say(frame(PING, ping.payload, ACK))
        await peer.hear_until(GOAWAY)
        peer.call(ECHO, b"too late", stream=3)
        peer.say(frame(WINDOW_UPDATE, b"\0\0\0\1", stream=3) + frame(RESET, bytes(4), stream=3))
        peer.say(frame(PING, bytes(8)))
        await peer.hear_until(PING, flags=ACK)
        await listener.stop(0)
        ended = await peer.hear_until(HEADERS, 1)
        assert b"grpc-status\x0214" in ended.payload
        await peer.hear_all()
        assert not [heard for heard in peer.heard if heard.stream == 3]
        await stopping
        assert service.seen.cancelled.is_set()


async def test_no_call_fails_while_a_server_is_replaced() -> None:
    """Callers go on while one server after another takes the port over."""
    service, done = Service(), 0
    failed: list[grpc.aio.AioRpcError] = []
    listener = Listener(rpcs(service), Limits())
    port = await listener.start("127.0.0.1", 0)
    go_on = True

    async def caller(channel: Any) -> None:
        nonlocal done
        while go_on:
            try:
                await channel.unary_unary(ECHO)(b"x", wait_for_ready=True, timeout=20)
            except grpc.aio.AioRpcError as error:
                failed.append(error)
            done += 1

    async with client(port, ("grpc.initial_reconnect_backoff_ms", 20)) as channel:
        callers = [asyncio.ensure_future(caller(channel)) for _ in range(16)]
        for _ in range(3):
            before = done
            await until(lambda: done > before + 100)  # noqa: B023 - waited for at once
            await listener.stop(10)
            listener = Listener(rpcs(service), Limits())
            await listener.start("127.0.0.1", port)
        go_on = False
        await asyncio.gather(*callers)
    await listener.stop(0)
    assert failed == []


async def test_a_client_that_goes_away_lets_its_calls_end() -> None:
    async with listening(Service()) as (_, port), Peer.at(port) as peer:
        peer.say(frame(HEADERS, header_block(ECHO), END_HEADERS, 1))
        peer.say(frame(GOAWAY, bytes(8)))
        await peer.hear_until(GOAWAY)
        peer.say(frame(DATA, b"\0\0\0\0\1x", 1, 1))
        assert (await peer.hear_until(DATA, 1)).payload[5:] == b"x"
        await peer.hear_all()


# What time does.


async def test_who_never_greets_is_not_waited_for() -> None:
    async with ours(Service(), Limits(handshake_s=0.2, tick_s=0.05)) as port:
        for said in (b"", b"PRI * HTTP/2.0\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            async with asyncio.timeout(10):
                try:
                    while await reader.read(1000):
                        pass
                except ConnectionResetError:
                    pass
            writer.close()


async def test_a_silent_line_is_asked_and_one_that_does_not_answer_is_cut() -> None:
    service = Service()
    limits = Limits(keepalive_s=0.2, keepalive_timeout_s=2.0, tick_s=0.05)
    async with ours(service, limits) as port, Peer.at(port) as peer:
        peer.call(HANG)
        for _ in range(3):
            ping = await peer.hear_until(PING)
            peer.say(frame(PING, ping.payload, ACK))
        assert not service.seen.cancelled.is_set()
        assert (await peer.hear_all())[-1].kind == PING
        await until(service.seen.cancelled.is_set)


@pytest.mark.parametrize(
    "limits", [Limits(idle_s=0.2, tick_s=0.05), Limits(age_s=0.2, tick_s=0.05)], ids=["idle", "old"]
)
async def test_connections_that_are_idle_or_old_are_asked_to_come_again(limits: Limits) -> None:
    async with ours(Service(), limits) as port, Peer.at(port) as peer:
        await peer.hear_until(GOAWAY)
        ping = await peer.hear_until(PING)
        peer.say(frame(PING, ping.payload, ACK))
        await peer.hear_all()


async def test_a_connection_that_is_too_old_is_cut() -> None:
    service = Service()
    limits = Limits(age_s=0.1, age_grace_s=0.3, tick_s=0.05)
    async with ours(service, limits) as port, Peer.at(port) as peer:
        peer.call(HANG)
        ended = await peer.hear_until(HEADERS, 1)
        assert b"grpc-status\x0214" in ended.payload
        assert service.seen.cancelled.is_set()


async def test_a_request_that_does_not_come_to_its_end_is_refused() -> None:
    limits = Limits(request_s=0.2, tick_s=0.05)
    async with ours(Service(), limits) as port, Peer.at(port) as peer:
        peer.say(frame(HEADERS, header_block(ECHO), END_HEADERS, 1))
        assert b"grpc-status\x014" in (await peer.hear_until(HEADERS, 1)).payload
        peer.say(frame(HEADERS, header_block(ECHO, [(b"grpc-timeout", b"100m")]), END_HEADERS, 3))
        assert b"grpc-status\x014" in (await peer.hear_until(HEADERS, 3)).payload


@pytest.mark.parametrize(("linger_s", "ends"), [(30.0, True), (0.05, False)])
async def test_an_upload_that_fails_is_heard_out_for_a_moment(linger_s: float, ends: bool) -> None:
    """Clients lose a status that comes while they still speak."""

    async def refuse(exchange: Exchange) -> None:
        exchange.finish(Code.PERMISSION_DENIED, "no")

    listener = Listener({"/t/refuse": Rpc(refuse, uploads=True)}, Limits(linger_s=linger_s))
    port = await listener.start("127.0.0.1", 0)
    async with Peer.at(port) as peer:
        peer.say(frame(HEADERS, header_block("/t/refuse"), END_HEADERS, 1) + frame(DATA, b"\0\0\0\0\1x", 0, 1))
        if ends:
            peer.say(frame(PING, bytes(8)))
            await peer.hear_until(PING, flags=ACK)
            assert not [heard for heard in peer.heard if heard.stream]
            peer.say(frame(DATA, b"", 1, 1))
        assert b"grpc-status\x017" in (await peer.hear_until(HEADERS, 1, 1)).payload
    await listener.stop(0)


# Where callers come in.


async def test_addresses() -> None:
    for host in ("localhost", "::1", "::", "0.0.0.0"):
        listener = Listener(rpcs(Service()), Limits())
        port = await listener.start(host, 0)
        target = "[::1]" if host.startswith("::1") else "127.0.0.1"
        channel: Any
        async with grpc.aio.insecure_channel(f"{target}:{port}") as channel:
            assert await channel.unary_unary(ECHO)(b"x", timeout=10) == b"x"
        await listener.stop(0)


async def test_a_port_that_is_taken() -> None:
    async with listening(Service()) as (_, port):
        with pytest.raises(OSError, match="in use"):
            await Listener({}, Limits()).start("127.0.0.1", port)


async def test_tls(tmp_path: Path) -> None:
    certificate = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    listener = Listener(rpcs(Service()), Limits(), context)
    port = await listener.start("127.0.0.1", 0)
    credentials = grpc.ssl_channel_credentials(certificate)
    channel: Any
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
        assert await channel.unary_unary(ECHO)(b"x" * 500_000, timeout=20) == b"x" * 500_000
    await listener.stop(0)


def _certificate(folder: Path) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(hours=1), now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate = made.public_bytes(serialization.Encoding.PEM)
    (folder / "cert.pem").write_bytes(certificate)
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "key.pem").write_bytes(private)
    return certificate
