"""The client over TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fixtures.upstream import RESET, Upstream, head
from tests.providers.http.calls import CANCEL_S_MAX, body_of, cancelled_while, client_of, failure_of, read_slowly
from trunkline_server.core.failure import FailureKind
from trunkline_server.providers.client import ClientSettings, HttpTransport
from trunkline_server.providers.http.network import Address, Network
from trunkline_server.wire.http import HttpRequest


def certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate and its key, in one file."""
    file = folder / f"{name}.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={name}", "-days", "1"]
    subprocess.run([*command, *names, "-keyout", file, "-out", f"{file}.crt"], check=True, capture_output=True)
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


def tls_server(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def test_tls_with_a_trusted_certificate(tmp_path: Path) -> None:
    file = certificate(tmp_path, "IP:127.0.0.1")
    async with Upstream(tls=tls_server(file)) as upstream:
        transport = client_of(upstream, ClientSettings(ca_file=str(file)))
        for _ in range(2):
            upstream.reply(b"x")
            assert await body_of(transport) == [b"x"]
        assert upstream.connections == 1
        assert await cancelled_while(transport, upstream.hang()) <= CANCEL_S_MAX * 4
        await transport.close()


async def test_tls_that_breaks_off_is_never_sent() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    transport = HttpTransport(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", {})
    assert (await failure_of(transport)).kind is FailureKind.NEVER_SENT
    await transport.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("name", ["IP:127.0.0.1", "DNS:example.com"])
async def test_tls_that_cannot_be_trusted_is_never_sent(tmp_path: Path, name: str) -> None:
    file = certificate(tmp_path, name)
    settings = ClientSettings(ca_file=str(file)) if name.startswith("DNS") else ClientSettings()
    async with Upstream(tls=tls_server(file)) as upstream:
        transport = client_of(upstream, settings)
        assert (await failure_of(transport)).kind is FailureKind.NEVER_SENT
        assert not upstream.requests
        await transport.close()


async def test_tls_asks_for_the_name_and_not_for_the_number(tmp_path: Path) -> None:
    file, asked = certificate(tmp_path, "DNS:tool.example"), list[str | None]()
    context = tls_server(file)
    context.sni_callback = lambda _, name, __: asked.append(name)

    async def at_home(host: str, port: int) -> Sequence[Address]:
        return [(socket.AF_INET, ("127.0.0.1", port))]

    async with Upstream(tls=context) as upstream:
        mine, other = (
            HttpTransport(
                f"https://{host}.example:{upstream.port}", {}, ClientSettings(ca_file=str(file)), Network(at_home)
            )
            for host in ("tool", "other")
        )
        upstream.reply(b"x")
        assert await body_of(mine) == [b"x"]
        assert (await failure_of(other)).kind is FailureKind.NEVER_SENT
        await mine.close()
        await other.close()
    assert asked == ["tool.example", "other.example"]


async def test_tls_carries_much_both_ways_and_waits_for_the_reader(tmp_path: Path) -> None:
    file = certificate(tmp_path, "IP:127.0.0.1")
    async with Upstream(tls=tls_server(file)) as upstream:
        transport = client_of(upstream, ClientSettings(ca_file=str(file)))
        answer = upstream.stream([b"x" * 65_536] * 200)
        request = HttpRequest("POST", "/", {}, bytes(3_000_000))
        size = await read_slowly(transport, answer, request)
        assert (size, upstream.requests[0].body) == (65_536 * 200, request.body)
        upstream.raw(head(200, {}), b"until the end")
        assert b"".join(await body_of(transport)) == b"until the end"
        upstream.raw(head(200, {"content-length": "9"}), b"abc", RESET)
        assert (await failure_of(transport)).kind is FailureKind.INTERRUPTED
        await transport.close()


async def test_an_authority_that_cannot_be_read_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        HttpTransport("https://example.com", {}, ClientSettings(ca_file=str(tmp_path / "none")))
