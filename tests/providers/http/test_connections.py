"""How the client makes connections, keeps them, shares them out and lets them go."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

import pytest

from tests.fixtures.upstream import Answer, Upstream, head
from tests.providers.http.calls import CHAT, body_of, client_of, failure_of
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.providers.client import ClientSettings, HttpTransport
from trunkline_server.providers.http.connection import Connection
from trunkline_server.providers.http.dial import Dial
from trunkline_server.wire.http import HttpRequest


async def test_a_connection_is_used_again(upstream: Upstream, transport: HttpTransport) -> None:
    for _ in range(3):
        upstream.stream([b"a", b"b"])
        assert b"".join(await body_of(transport)) == b"ab"
    assert upstream.connections == 1


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
