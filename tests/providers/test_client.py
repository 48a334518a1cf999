"""The client against a scripted provider on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
import subprocess
import time
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from tests.fixtures.upstream import CLOSE, RESET, Answer, Step, Upstream, chunk, head
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.providers.client import ClientSettings, HttpTransport
from trunkline_server.providers.http.connection import Connection
from trunkline_server.providers.http.dial import Dial
from trunkline_server.providers.http.network import Address, Network
from trunkline_server.wire.http import HttpRequest

SECRET = "sk-canary-0123456789"
CHAT = HttpRequest("POST", "/v1/chat?x=%2F", {"content-type": "application/json"}, b'{"a":1}')
CANCEL_S_MAX = 0.05


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


@pytest.fixture
async def transport(upstream: Upstream) -> AsyncIterator[HttpTransport]:
    client = client_of(upstream)
    yield client
    await client.close()


def client_of(upstream: Upstream, settings: ClientSettings | None = None) -> HttpTransport:
    return HttpTransport(f"{upstream.url}/base/", {"authorization": f"Bearer {SECRET}"}, settings)


async def body_of(transport: HttpTransport, request: HttpRequest = CHAT) -> list[bytes]:
    async with transport.open(request) as response:
        return [piece async for piece in response.chunks()]


async def failure_of(transport: HttpTransport, request: HttpRequest = CHAT) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        await body_of(transport, request)
    return caught.value


async def cancelled_while(transport: HttpTransport, answer: Answer, started: asyncio.Event | None = None) -> float:
    """Seconds from the cancellation of a call to the closing of its socket."""
    async with asyncio.timeout(5):
        call = asyncio.create_task(listen(transport, started))
        await (started.wait() if started else answer.asked())
        begun = time.monotonic()
        call.cancel()
        left_at = await answer.client_left()
    with pytest.raises(asyncio.CancelledError):
        await call
    return left_at - begun


async def listen(transport: HttpTransport, started: asyncio.Event | None) -> None:
    async with transport.open(CHAT) as response:
        async for _ in response.chunks():
            if started:
                started.set()


async def test_sends_the_request_as_spelled_and_returns_the_answer(
    upstream: Upstream, transport: HttpTransport
) -> None:
    upstream.reply(json={"ok": True}, status=418, headers={"X-Request-Id": "r1", "set-cookie": "a=b"})
    async with transport.open(CHAT) as response:
        assert (response.status, response.headers.get("x-request-id")) == (418, "r1")
        assert await response.read(1000) == b'{"ok": true}'
    (seen,) = upstream.requests
    assert (seen.method, seen.path, seen.body) == ("POST", "/base/v1/chat?x=%2F", b'{"a":1}')
    assert seen.headers["authorization"] == f"Bearer {SECRET}"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["accept-encoding"] == "gzip"


async def test_cookies_and_referer_are_not_kept(upstream: Upstream) -> None:
    transport = HttpTransport(f"http://localhost:{upstream.port}", {})  # a cookie needs a name to belong to
    for _ in range(2):
        upstream.reply(headers={"set-cookie": "a=b"})
        await body_of(transport)
    assert not {"cookie", "referer"} & set(upstream.requests[1].headers)
    await transport.close()


async def test_a_body_that_ends_with_its_connection(upstream: Upstream, transport: HttpTransport) -> None:
    upstream.raw(head(200, {}), b"abc")
    assert b"".join(await body_of(transport)) == b"abc"


async def test_a_redirect_is_an_answer(upstream: Upstream, transport: HttpTransport) -> None:
    upstream.reply(status=302, headers={"location": "http://169.254.169.254/"})
    async with transport.open(CHAT) as response:
        assert response.status == 302
    assert len(upstream.requests) == 1


async def test_proxies_of_the_environment_are_not_used(
    upstream: Upstream, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    upstream.reply(b"x")
    assert await body_of(transport) == [b"x"]


async def test_a_connection_is_used_again(upstream: Upstream, transport: HttpTransport) -> None:
    for _ in range(3):
        upstream.stream([b"a", b"b"])
        assert b"".join(await body_of(transport)) == b"ab"
    assert upstream.connections == 1


async def test_large_bodies_are_sent_whole(upstream: Upstream, transport: HttpTransport) -> None:
    body = bytes(range(256)) * 4 * 3000
    upstream.reply(b"x")
    await body_of(transport, HttpRequest("POST", "/", {}, body))
    assert upstream.requests[0].body == body


async def test_a_burst_arrives_as_one_piece(upstream: Upstream, transport: HttpTransport) -> None:
    go = asyncio.Event()
    upstream.raw(
        head(200, {"transfer-encoding": "chunked"}),
        chunk(b"first"),
        go,
        b"".join(chunk(b"data: %d\n\n" % i) for i in range(20)) + chunk(b""),
    )
    async with transport.open(CHAT) as response:
        pieces = response.chunks()
        assert await anext(pieces) == b"first"
        go.set()
        rest = [piece async for piece in pieces]
    assert rest == [b"".join(b"data: %d\n\n" % i for i in range(20))]


BEFORE: list[tuple[list[Step], FailureKind]] = [
    ([RESET], FailureKind.AMBIGUOUS),
    ([CLOSE], FailureKind.AMBIGUOUS),
    ([b"HTTP/1.1 200 OK\r\ncont", CLOSE], FailureKind.AMBIGUOUS),
    ([b"hello there\r\n\r\n"], FailureKind.BROKEN),
    ([head(200, {"x": "y" * 70_000})], FailureKind.BROKEN),
]


@pytest.mark.parametrize(("steps", "kind"), BEFORE)
async def test_failures_before_the_answer(
    upstream: Upstream, transport: HttpTransport, steps: list[Step], kind: FailureKind
) -> None:
    upstream.raw(*steps)
    assert (await failure_of(transport)).kind is kind
    assert len(upstream.requests) == 1


AFTER: list[tuple[list[Step], FailureKind]] = [
    ([head(200, {"transfer-encoding": "chunked"}), chunk(b"abc"), RESET], FailureKind.INTERRUPTED),
    ([head(200, {"transfer-encoding": "chunked"}), chunk(b"abc"), CLOSE], FailureKind.INTERRUPTED),
    ([head(200, {"transfer-encoding": "chunked"}), chunk(b"abc")[:-3], CLOSE], FailureKind.INTERRUPTED),
    ([head(200, {"content-length": "9"}), b"abc", CLOSE], FailureKind.INTERRUPTED),
    ([head(200, {}), b"abc", RESET], FailureKind.INTERRUPTED),
    ([head(200, {"content-length": "9", "content-encoding": "gzip"}), b"not gzip!"], FailureKind.BROKEN),
]


@pytest.mark.parametrize(("steps", "kind"), AFTER)
async def test_failures_inside_the_answer(
    upstream: Upstream, transport: HttpTransport, steps: list[Step], kind: FailureKind
) -> None:
    go = asyncio.Event()
    upstream.raw(steps[0], go, *steps[1:])
    async with transport.open(CHAT) as response:
        go.set()
        with pytest.raises(UpstreamFailure) as caught:
            await response.read(1000)
    assert (caught.value.kind, caught.value.http_status) == (kind, 200)


async def test_silence_before_and_inside_the_answer(upstream: Upstream) -> None:
    transport = client_of(upstream, ClientSettings(read_timeout_s=0.05))
    upstream.hang()
    upstream.stream([b"abc", asyncio.Event()])
    assert (await failure_of(transport)).kind is FailureKind.AMBIGUOUS
    assert (await failure_of(transport)).kind is FailureKind.TIMEOUT_IDLE
    await transport.close()


async def test_nobody_listens() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        transport = HttpTransport(f"http://127.0.0.1:{closed.getsockname()[1]}", {})
        assert (await failure_of(transport)).kind is FailureKind.NEVER_SENT
    await transport.close()


async def test_a_connection_that_is_taken_and_dropped() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    transport = HttpTransport(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {})
    for _ in range(20):
        assert (await failure_of(transport)).kind in (FailureKind.NEVER_SENT, FailureKind.AMBIGUOUS)
    await transport.close()
    server.close()
    await server.wait_closed()


async def test_a_connection_that_ends_before_it_is_used_is_never_sent(
    upstream: Upstream, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = Dial.connect

    async def too_late(dial: Dial, make: Callable[[], Connection]) -> Connection:
        connection = await connect(dial, make)
        connection.abort()
        await asyncio.sleep(0)
        return connection

    monkeypatch.setattr(Dial, "connect", too_late)
    assert (await failure_of(transport)).kind is FailureKind.NEVER_SENT
    assert not upstream.requests


async def test_a_host_without_an_address() -> None:
    transport = HttpTransport("http://no-such-host.invalid", {})
    assert (await failure_of(transport)).kind is FailureKind.NEVER_SENT
    await transport.close()


async def test_no_free_connection_in_time_is_never_sent(upstream: Upstream) -> None:
    transport = client_of(upstream, ClientSettings(connections_max=1, connect_timeout_s=0.05))
    answer = upstream.hang()
    first = asyncio.create_task(body_of(transport))
    await answer.asked()
    assert (await failure_of(transport)).kind is FailureKind.NEVER_SENT
    first.cancel()
    await asyncio.wait([first])
    await transport.close()


async def test_a_kept_connection_that_the_provider_closed_is_no_failure(
    upstream: Upstream, transport: HttpTransport
) -> None:
    for _ in range(20):
        upstream.reply(b"x")
        assert await body_of(transport) == [b"x"]
        upstream.hang_up()  # without giving the loop a turn to see it
    assert len(upstream.requests) == 20


async def test_a_body_that_grows_too_large_is_broken(upstream: Upstream) -> None:
    transport = client_of(upstream, ClientSettings(body_bytes_max=1000))
    upstream.stream([b"x" * 600, b"x" * 600])
    assert (await failure_of(transport)).kind is FailureKind.BROKEN
    upstream.reply(b"x" * 200)
    async with transport.open(CHAT) as response:
        with pytest.raises(UpstreamFailure, match="BROKEN 200"):
            await response.read(100)
    await transport.close()


async def test_the_decoded_size_counts(upstream: Upstream) -> None:
    transport = client_of(upstream, ClientSettings(body_bytes_max=100_000))
    upstream.reply(gzip.compress(b"x" * 100_000), headers={"content-encoding": "gzip"})
    upstream.reply(gzip.compress(b"x" * 50_000_000), headers={"content-encoding": "gzip"})
    assert b"".join(await body_of(transport)) == b"x" * 100_000
    assert (await failure_of(transport)).kind is FailureKind.BROKEN
    await transport.close()


async def test_a_reader_that_stops_stops_the_provider(upstream: Upstream, transport: HttpTransport) -> None:
    answer = upstream.stream([b"x" * 65_536] * 400)
    async with transport.open(CHAT) as response:
        await anext(response.chunks())
        with pytest.raises(TimeoutError):  # 26 MB would take far less
            await answer.sent(within_s=0.3)


async def test_a_cancelled_call_closes_its_socket_before_the_answer(
    upstream: Upstream, transport: HttpTransport
) -> None:
    delays = [await cancelled_while(transport, upstream.hang()) for _ in range(20)]
    assert sorted(delays)[-2] <= CANCEL_S_MAX


async def test_a_cancelled_call_closes_its_socket_inside_the_answer(
    upstream: Upstream, transport: HttpTransport
) -> None:
    delays = [
        await cancelled_while(transport, upstream.stream([b"abc", asyncio.Event()]), asyncio.Event()) for _ in range(20)
    ]
    assert sorted(delays)[-2] <= CANCEL_S_MAX


async def test_leaving_early_closes_the_socket(upstream: Upstream, transport: HttpTransport) -> None:
    answer = upstream.stream([b"abc", asyncio.Event()])
    async with transport.open(CHAT) as response:
        await anext(response.chunks())
        assert answer.client_is_there
    await answer.client_left()


async def test_secrets_stay_out_of_failures(upstream: Upstream, transport: HttpTransport) -> None:
    upstream.raw(b"hello there\r\n\r\n")
    failure = await failure_of(transport)
    assert failure.__cause__ is None
    assert failure.__suppress_context__
    assert SECRET not in f"{failure} {failure!r} {transport!r} {CHAT!r}"


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\0"])
async def test_a_header_that_would_break_out_is_never_sent(
    upstream: Upstream, transport: HttpTransport, value: str
) -> None:
    assert (await failure_of(transport, HttpRequest("POST", "/", {"x-a": value}))).kind is FailureKind.INVALID
    assert not upstream.requests


async def test_a_path_cannot_name_another_host(transport: HttpTransport) -> None:
    with pytest.raises(ValueError, match="begin with"):
        transport.open(HttpRequest("GET", "@example.com/"))


async def test_an_answer_that_says_farewell_ends_its_connection(upstream: Upstream, transport: HttpTransport) -> None:
    for _ in range(2):
        answer = upstream.reply(b"x", headers={"connection": "close"})
        assert await body_of(transport) == [b"x"]
        await answer.client_left()
    assert upstream.connections == 2


@pytest.mark.parametrize("surplus", [b"HTTP/1.1 200 OK\r\n", b"?"])
async def test_a_connection_that_talks_unasked_is_not_used_again(
    upstream: Upstream, transport: HttpTransport, surplus: bytes
) -> None:
    go = asyncio.Event()
    unasked = upstream.script(Answer([head(200, {"content-length": "1"}) + b"x", go, surplus]))
    assert await body_of(transport) == [b"x"]
    go.set()
    await unasked.client_left()
    upstream.reply(b"y")
    assert await body_of(transport) == [b"y"]
    assert upstream.connections == 2


async def test_an_answer_before_the_request_was_sent_whole() -> None:
    left = asyncio.Queue[None]()

    async def refuse_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head(413, {"content-length": "0"}))
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        left.put_nowait(None)

    server = await asyncio.start_server(refuse_at_once, "127.0.0.1", 0)
    transport = HttpTransport(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {})
    for _ in range(2):
        async with transport.open(HttpRequest("POST", "/", {}, b"x" * 20_000_000)) as response:
            assert response.status == 413
        await left.get()  # it was not kept
    await transport.close()
    server.close()
    await server.wait_closed()


async def test_idle_connections_are_closed_in_time(upstream: Upstream) -> None:
    transport = client_of(upstream, ClientSettings(keep_alive_s=0.05))
    answers = [upstream.stream([b"x"]) for _ in range(3)]
    await asyncio.gather(*(body_of(transport) for _ in answers))
    assert upstream.connections == 3
    for answer in answers:
        await answer.client_left()
    await transport.close()


async def test_those_who_wait_for_a_connection_get_it_in_turn(upstream: Upstream) -> None:
    transport = client_of(upstream, ClientSettings(connections_max=1))
    go = asyncio.Event()
    first = upstream.stream([go, b"x"])
    calls = [asyncio.create_task(body_of(transport, HttpRequest("GET", f"/{i}"))) for i in range(10)]
    upstream.respond(lambda _: upstream.whole(b"x"))
    await first.asked()
    calls.pop(4).cancel()
    go.set()
    assert await asyncio.gather(*calls) == [[b"x"]] * 9
    assert [seen.path for seen in upstream.requests] == [f"/base/{i}" for i in (0, 1, 2, 3, 5, 6, 7, 8, 9)]
    assert upstream.connections == 1
    await transport.close()


async def test_nobody_overtakes_those_who_wait(upstream: Upstream) -> None:
    transport = client_of(upstream, ClientSettings(connections_max=1))
    upstream.respond(lambda _: upstream.whole(b"x"))

    async def ask(*paths: str) -> None:
        for path in paths:
            await body_of(transport, HttpRequest("GET", path))

    await asyncio.gather(ask("/0", "/2"), ask("/1"))
    assert [seen.path for seen in upstream.requests] == ["/base/0", "/base/1", "/base/2"]
    assert upstream.connections == 1
    await transport.close()


async def test_a_failed_dial_leaves_its_place(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    transport = client_of(upstream, ClientSettings(connections_max=1))

    async def failing(dial: Dial, make: Callable[[], Connection]) -> Connection:
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr(Dial, "connect", failing)
        assert (await failure_of(transport)).kind is FailureKind.NEVER_SENT
    upstream.reply(b"x")
    assert await body_of(transport) == [b"x"]
    await transport.close()


async def test_a_cancelled_call_does_not_finish_sending() -> None:
    loop, size = asyncio.get_running_loop(), 30_000_000
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        transport = HttpTransport(f"http://127.0.0.1:{server.getsockname()[1]}", {})
        call = asyncio.create_task(body_of(transport, HttpRequest("POST", "/", {}, bytes(size))))
        peer, _ = await loop.sock_accept(server)
        with peer:
            seen = len(await loop.sock_recv(peer, 100))
            call.cancel()
            await asyncio.wait([call])
            with contextlib.suppress(ConnectionError):
                while data := await asyncio.wait_for(loop.sock_recv(peer, 1 << 20), 5):
                    seen += len(data)
        assert seen < size
        await transport.close()


async def test_closing_ends_what_is_open_and_sends_nothing_more(upstream: Upstream, transport: HttpTransport) -> None:
    idle = upstream.reply(b"x")
    busy = upstream.stream([b"abc", asyncio.Event()])
    async with transport.open(CHAT) as kept:
        other = asyncio.create_task(failure_of(transport))
        await busy.asked()
        await kept.read(10)
    await transport.close()
    assert (await other).kind in (FailureKind.AMBIGUOUS, FailureKind.INTERRUPTED)
    await idle.client_left()
    await busy.client_left()
    assert (await failure_of(transport)).kind is FailureKind.NEVER_SENT
    assert len(upstream.requests) == 2


async def test_silence_counts_anew_for_each_call_of_a_connection(upstream: Upstream) -> None:
    transport = client_of(upstream, ClientSettings(read_timeout_s=0.1))
    first = time.monotonic()
    while time.monotonic() - first < 0.05:
        upstream.reply(b"x")
        await body_of(transport)
    upstream.hang()
    begun = time.monotonic()
    assert (await failure_of(transport)).kind is FailureKind.AMBIGUOUS
    assert time.monotonic() - begun >= 0.09
    assert upstream.connections == 1
    await transport.close()


async def test_a_slow_reader_is_not_silence(upstream: Upstream) -> None:
    transport = client_of(upstream, ClientSettings(read_timeout_s=0.05))
    answer = upstream.stream([b"x" * 65_536] * 200)
    async with transport.open(CHAT) as response:
        pieces = response.chunks()
        size = len(await anext(pieces))
        with pytest.raises(TimeoutError):
            await answer.sent(within_s=0.2)
        async for piece in pieces:
            size += len(piece)
    assert size == 65_536 * 200
    await transport.close()


async def test_packed_pieces_arrive_at_once(upstream: Upstream, transport: HttpTransport) -> None:
    packer, go = zlib.compressobj(wbits=31), asyncio.Event()
    first = packer.compress(b"data: 1\n\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    rest = packer.compress(b"data: 2\n\n") + packer.flush()
    upstream.stream([first, go, rest], headers={"content-encoding": "gzip"})
    async with transport.open(CHAT) as response:
        pieces = response.chunks()
        assert await anext(pieces) == b"data: 1\n\n"
        go.set()
        assert [piece async for piece in pieces] == [b"data: 2\n\n"]


async def test_nothing_of_one_answer_shows_in_the_next(upstream: Upstream, transport: HttpTransport) -> None:
    upstream.reply(b"mine", headers={"x-a": "1"})
    upstream.reply(b"yours")
    async with transport.open(CHAT) as mine:
        stale = mine.chunks()
        await mine.read(10)
    async with transport.open(CHAT) as yours:
        assert "x-a" not in yours.headers
        with pytest.raises(UpstreamFailure, match="INTERRUPTED"):
            await anext(stale)
        assert await yours.read(10) == b"yours"
    assert upstream.connections == 1


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
        async with transport.open(request) as response:
            pieces = response.chunks()
            size = len(await anext(pieces))
            with pytest.raises(TimeoutError):
                await answer.sent(within_s=0.2)
            async for piece in pieces:
                size += len(piece)
        assert (size, upstream.requests[0].body) == (65_536 * 200, request.body)
        upstream.raw(head(200, {}), b"until the end")
        assert b"".join(await body_of(transport)) == b"until the end"
        upstream.raw(head(200, {"content-length": "9"}), b"abc", RESET)
        assert (await failure_of(transport)).kind is FailureKind.INTERRUPTED
        await transport.close()


async def test_an_authority_that_cannot_be_read_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        HttpTransport("https://example.com", {}, ClientSettings(ca_file=str(tmp_path / "none")))
