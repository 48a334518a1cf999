"""The HTTP server on raw sockets: what it takes, what it refuses, and whom it lets go."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from tests.fixtures.books import Books
from tests.fixtures.dialects import DIALECTS
from tests.fixtures.gateway import RunningGateway, StartGateway
from tests.fixtures.http import Http, Socket
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream

COMPLETE = "/trunkline.v1.ChatService/Complete"
STREAM = "/trunkline.v1.ChatService/Stream"
OPENAI = DIALECTS[0]


def asked(text: str = "hello", model: str = "sandbox/echo", **fields: Any) -> dict[str, Any]:
    message = {"role": "ROLE_USER", "parts": [{"text": {"text": text}}]}
    return {"input": {"model": model, "messages": [message], **fields}}


def said(answer: Any) -> str:
    return str(answer.json()["completion"]["candidates"][0]["message"]["parts"][0]["text"]["text"])


async def test_probes(http: Http) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await http.get(path, authorization="")
        assert (answer.status, answer.body) == (200, b"ok\n")
    await http.post(COMPLETE, asked())
    metrics = (await http.get("/metrics")).body.decode()
    assert "trunkline_http_requests_total 4\n" in metrics
    assert "trunkline_live_calls 0\n" in metrics
    head = await http.send(http.request("/healthz", method="HEAD"))
    assert (head.status, head.headers["content-length"]) == (200, "3")


async def test_what_is_not_there(http: Http) -> None:
    assert (await http.get("/nothing")).status == 404
    refused = await http.post("/healthz")
    assert (refused.status, refused.headers["allow"]) == (405, "GET")


async def test_a_connection_has_many_requests(http: Http) -> None:
    async with http.socket() as socket:
        for word in ("one", "two"):
            await socket.send(http.request(COMPLETE, json.dumps(asked(word)).encode()))
            assert said(await socket.answer()) == word


async def test_requests_in_a_row_are_answered_in_their_order(http: Http) -> None:
    words = [f"word{n}" for n in range(40)]
    async with http.socket() as socket:
        await socket.send(b"".join(http.request(COMPLETE, json.dumps(asked(word)).encode()) for word in words))
        assert [said(await socket.answer()) for _ in words] == words


async def test_a_request_byte_by_byte(http: Http) -> None:
    request = http.request(COMPLETE, json.dumps(asked("slowly")).encode())
    async with http.socket() as socket:
        for place in range(len(request)):
            await socket.send(request[place : place + 1])
        assert said(await socket.answer()) == "slowly"


async def test_a_body_in_chunks_and_one_that_waits_for_leave(http: Http) -> None:
    body = json.dumps(asked()).encode()
    chunks = b"5\r\n" + body[:5] + b"\r\n%x\r\n" % (len(body) - 5) + body[5:] + b"\r\n0\r\nx-trailer: 1\r\n\r\n"
    head = http.request(COMPLETE, content_length="", transfer_encoding="chunked", method="POST")
    async with http.socket() as socket:
        await socket.send(head.replace(b"\r\n\r\n", b"\r\ncontent-type: application/json\r\n\r\n") + chunks)
        assert said(await socket.answer()) == "hello"
        waiting = http.request(COMPLETE, body, expect="100-continue")
        await socket.send(waiting[: -len(body)])
        assert (await socket.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        await socket.send(body)
        assert said(await socket.answer()) == "hello"


async def test_an_old_client_gets_a_stream_that_ends_with_its_connection(http: Http) -> None:
    request = http.request(STREAM, json.dumps(asked()).encode()).replace(b"HTTP/1.1", b"HTTP/1.0")
    async with http.socket() as socket:
        await socket.send(request)
        answer = await socket.gone()
    assert b"transfer-encoding" not in answer
    assert json.loads(answer.splitlines()[-1])["event"]["completed"]


NO_REQUESTS = [
    b"nonsense\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
]


async def test_what_is_no_request(http: Http) -> None:
    for sent in NO_REQUESTS:
        async with http.socket() as socket:
            await socket.send(sent)
            answer = await socket.gone()
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 ")) or answer == b"", sent
        assert (await http.get("/healthz")).status == 200


async def test_odd_targets(http: Http) -> None:
    for target in ["/%ff%00", "/\xe9", "//../etc", "*", "/" + "a" * 20_000]:
        async with http.socket() as socket:
            await socket.send(f"GET {target} HTTP/1.1\r\nhost: x\r\n\r\n".encode("latin-1"))
            assert (await socket.answer()).status in (400, 404)


async def test_headers_without_end(http: Http) -> None:
    async with http.socket() as socket:
        await socket.send(b"GET /healthz HTTP/1.1\r\n" + b"x-more: " + b"y" * 200_000)
        assert (await socket.answer()).status == 431


async def test_a_change_of_protocol_that_is_not_offered(http: Http) -> None:
    """Java's client wishes for HTTP/2 with its first request, whatever that is."""
    wish: Any = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2_settings": "AAMAAABk"}
    body = json.dumps(asked()).encode()
    async with http.socket() as socket:
        for _ in range(2):
            await socket.send(http.request("/healthz", **wish) + http.request(COMPLETE, body, **wish)[: -len(body)])
            assert (await socket.answer()).body == b"ok\n"
            await socket.send(body)
            assert said(await socket.answer()) == "hello"


@pytest.fixture
async def strict(start_gateway: StartGateway) -> Http:
    """A door with narrow limits."""
    limits = {"receive_bytes_max": 10_000, "connections_max": 2, "head_timeout_s": 0.3, "body_timeout_s": 0.3}
    origins = {"TRUNKLINE_HTTP__ALLOWED_ORIGINS": '["https://app.test"]'}
    return Http(await start_gateway(origins, http=limits | {"idle_timeout_s": 0.3}))


@pytest.mark.parametrize("told", [True, False])
async def test_a_body_that_is_too_long(books: Books, strict: Http, told: bool) -> None:
    """And whose sender is still speaking when they are refused."""
    body = json.dumps(asked("x" * 300_000)).encode()
    request = strict.request(COMPLETE, body)
    if not told:
        request = strict.request(COMPLETE, body, content_length="", transfer_encoding="chunked")
        request = request[: -len(body)] + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    answer = await strict.send(request)
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert answer.json()["code"] == "invalid_argument"
    assert await books.holds() == []


async def test_nobody_is_listened_to_for_long(strict: Http) -> None:
    """A long body of somebody without a key is not even read."""
    head = strict.request(COMPLETE, b"x", content_length="9000", authorization="Bearer none")[:-1]
    async with strict.socket() as socket:
        await socket.send(head)
        assert (await socket.answer()).status == 401


async def test_slow_senders_are_let_go(strict: Http) -> None:
    for sent in (b"", b"POST /x HTTP/1.1\r\nhost", strict.request(COMPLETE, b"{}", content_length="9000")):
        async with strict.socket() as socket:
            await socket.send(sent)
            assert await socket.gone() == b""


async def test_an_idle_connection_is_let_go(strict: Http) -> None:
    async with strict.socket() as socket:
        await socket.send(strict.request("/healthz"))
        assert (await socket.answer()).status == 200
        assert await socket.gone() == b""


async def test_one_connection_too_many(strict: Http) -> None:
    held = strict.gateway.house.http.traffic
    async with strict.socket() as first, strict.socket() as second:
        for socket in (first, second):
            await socket.send(strict.request("/healthz"))
            assert (await socket.answer()).status == 200
        async with strict.socket() as third:
            assert (await third.answer()).status == 503
    await until(lambda: held.open_connections == 0)
    assert held.refused_connections == 1


async def test_pages_of_allowed_origins_may_call(strict: Http) -> None:
    asked_first = strict.request(COMPLETE, method="OPTIONS", origin="https://app.test", authorization="")
    preflight = await strict.send(
        asked_first.replace(b"\r\n\r\n", b"\r\naccess-control-request-headers: authorization\r\n\r\n")
    )
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == "https://app.test"
    assert preflight.headers["access-control-allow-headers"] == "authorization"
    answer = await strict.post(COMPLETE, asked(), origin="https://app.test")
    assert answer.headers["access-control-allow-origin"] == "https://app.test"
    for origin in ("https://evil.test", "null"):
        answer = await strict.post(COMPLETE, asked(), origin=origin)
        assert "access-control-allow-origin" not in answer.headers


# Leaving.


@pytest.fixture
async def slow(books: Books, start_gateway: StartGateway, upstream: Upstream) -> Http:
    return Http(await start_gateway(OPENAI.environment(upstream.url), grpc={"heartbeat_s": "0.05"}))


async def begun(http: Http, socket: Socket, path: str = STREAM) -> None:
    await socket.send(http.request(path, json.dumps(asked(model=OPENAI.name)).encode()))


async def test_a_caller_who_leaves_stops_the_provider(books: Books, slow: Http, upstream: Upstream) -> None:
    answer = upstream.stream([OPENAI.opening(), OPENAI.delta("one "), asyncio.Event()])
    async with slow.socket() as socket:
        await begun(slow, socket)
        assert b"200 OK" in await socket.reader.readuntil(b"\r\n\r\n")
        while b"one " not in await socket.chunk():
            pass
        left = time.monotonic()
    print(f"the provider saw the end after {1000 * (await answer.client_left() - left):.1f} ms")
    assert await answer.client_left() - left < 1

    async def settled() -> bool:
        return [row["outcome"] for row in await books.usage()] == ["OUTCOME_CANCELLED"]

    await until(settled)


async def test_a_caller_who_leaves_before_the_answer(books: Books, slow: Http, upstream: Upstream) -> None:
    answer = upstream.hang()
    async with slow.socket() as socket:
        await begun(slow, socket, COMPLETE)
        await answer.asked()
    await answer.client_left()


async def test_a_silent_stream_has_heartbeats(books: Books, slow: Http, upstream: Upstream) -> None:
    go = asyncio.Event()
    upstream.stream([OPENAI.opening(), OPENAI.delta("one "), go, OPENAI.ending(1)])
    async with slow.socket() as socket:
        await begun(slow, socket)
        await socket.reader.readuntil(b"\r\n\r\n")
        while b"heartbeat" not in await socket.chunk():
            pass
        go.set()
        while b"completed" not in await socket.chunk():
            pass


async def test_a_caller_who_does_not_read_holds_the_provider_back(books: Books, slow: Http, upstream: Upstream) -> None:
    words = [OPENAI.delta("word " * 20_000) for _ in range(600)]
    answer = upstream.stream([OPENAI.opening(), *words, OPENAI.ending(600)])
    async with slow.socket() as socket:
        await begun(slow, socket)
        await socket.reader.readuntil(b"\r\n\r\n")
        with pytest.raises(TimeoutError):
            await answer.sent(within_s=0.5)
    await answer.client_left()


async def test_going_away_lets_calls_end_and_takes_no_more(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(grpc={"drain_grace_s": "20"})
    http = Http(gateway)
    script: dict[str, Any] = {"providerOptionsJson": {"sandbox": '{"script": {"pace_ms": 50, "chunk": 1}}'}}
    async with http.socket() as idle, http.socket() as running:
        await idle.send(http.request("/healthz"))
        await idle.answer()
        await running.send(http.request(STREAM, json.dumps(asked("one two three four", **script)).encode()))
        await running.reader.readuntil(b"\r\n\r\n")
        gateway.house.drain.ask()
        going = asyncio.create_task(gateway.house.drain.run(gateway.house.server, gateway.house.http))
        assert await idle.gone() == b""
        assert b"completed" in await running.gone()
        await going
    with pytest.raises(ConnectionError):
        await http.get("/healthz")


async def test_readiness_ends_first(gateway: RunningGateway, http: Http) -> None:
    gateway.house.drain.ask()
    assert (await http.get("/readyz")).status == 503
    assert (await http.get("/healthz")).status == 200
