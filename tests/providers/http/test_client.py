"""The client against a scripted provider on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import zlib

import pytest

from tests.fixtures.upstream import CLOSE, RESET, Step, Upstream, chunk, head
from tests.providers.http.calls import (
    CANCEL_S_MAX,
    CHAT,
    SECRET,
    body_of,
    cancelled_while,
    client_of,
    failure_of,
    read_slowly,
)
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.providers.client import ClientSettings, HttpTransport
from trunkline_server.wire.http import HttpRequest


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


async def test_a_slow_reader_is_not_silence(upstream: Upstream) -> None:
    transport = client_of(upstream, ClientSettings(read_timeout_s=0.05))
    answer = upstream.stream([b"x" * 65_536] * 200)
    assert await read_slowly(transport, answer) == 65_536 * 200
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
