"""Server-sent events and WebSocket, spoken by hand."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage

from tests.fixtures.books import Books
from tests.fixtures.dialects import DIALECTS
from tests.fixtures.gateway import StartGateway
from tests.fixtures.http import LIMIT_S, Answered, Http, Socket
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream

OPENAI = DIALECTS[0]
MESSAGE = {"role": "ROLE_USER", "parts": [{"text": {"text": "one two three"}}]}
HELLO: dict[str, Any] = {"input": {"model": "sandbox/echo", "messages": [MESSAGE]}}
SLOW = {"input": HELLO["input"] | {"model": OPENAI.name}}
STALLED = {"input": HELLO["input"] | {"providerOptionsJson": {"sandbox": '{"script": {"stall_after": 1, "chunk": 1}}'}}}


def words(events: list[dict[str, Any]]) -> str:
    return "".join(event.get("partDelta", {}).get("text", "") for event in events)


# Server-sent events.


@pytest.mark.parametrize("how", ["post", "get", "prompt"])
async def test_a_chat_as_events(http: Http, how: str) -> None:
    if how == "post":
        answer = await http.post("/stream", HELLO)
    elif how == "get":
        answer = await http.get(f"/stream?message={quote(json.dumps(HELLO))}")
    else:
        answer = await http.get("/stream?model=sandbox/echo&prompt=one%20two%20three")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert answer.headers["x-trunkline-provider"] == "sandbox"
    *messages, (last, bill) = answer.events
    assert {name for name, _ in messages} == {"message"}
    assert (last, "completed" in json.loads(bill)) == ("done", True)
    assert words([json.loads(data) for _, data in messages]) == "one two three"
    assert b"id: 1\n" in answer.body


async def test_events_that_fail(http: Http) -> None:
    broken = {
        "input": HELLO["input"] | {"providerOptionsJson": {"sandbox": '{"script": {"cut_after": 1, "chunk": 1}}'}}
    }
    name, data = (await http.post("/stream", broken)).events[-1]
    assert (name, json.loads(data)["code"]) == ("error", "unavailable")
    refused = await http.get("/stream?model=sandbox/none-such&prompt=x")
    assert (refused.status, refused.json()["code"]) == (404, "not_found")
    assert (await http.get("/stream", authorization="")).status == 401
    assert (await http.get("/stream")).status == 400


# WebSocket.


class Page:
    """The other end of a WebSocket."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.frames = Connection(ConnectionType.CLIENT)

    async def say(self, **message: Any) -> None:
        await self.put(TextMessage(json.dumps(message)))

    async def put(self, event: Event) -> None:
        await self.socket.send(self.frames.send(event))

    async def event(self) -> Event:
        """The next one; pings are answered by whoever asks for it."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                for event in self.frames.events():
                    return event
                self.frames.receive_data(await self.socket.reader.read(65536) or None)

    async def hear(self) -> dict[str, Any]:
        """The next message, whole."""
        pieces: list[str] = []
        while True:
            event = await self.event()
            assert isinstance(event, TextMessage), event
            pieces.append(event.data)
            if event.message_finished:
                heard: dict[str, Any] = json.loads("".join(pieces))
                return heard

    async def hear_all(self, id: str) -> list[dict[str, Any]]:
        """Everything about one call, to its end."""
        heard: list[dict[str, Any]] = []
        while not heard or heard[-1]["type"] == "message":
            message = await self.hear()
            if message["id"] == id:
                heard.append(message)
        return heard


def upgrade(http: Http, **headers: Any) -> bytes:
    given = {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec_websocket_version": "13",
        "sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    return http.request("/ws", **{**given, **headers})


@asynccontextmanager
async def page_of(http: Http, **headers: Any) -> AsyncIterator[Page]:
    async with http.socket() as socket:
        await socket.send(upgrade(http, **headers))
        answer = await socket.answer(bodiless=True)
        assert answer.status == 101
        assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        yield Page(socket)


async def refused(http: Http, **headers: Any) -> Answered:
    return await http.send(upgrade(http, **headers))


async def test_a_call(books: Books, http: Http) -> None:
    async with page_of(http, x_trunkline_user="ada") as page:
        await page.say(type="start", id="a", request=HELLO)
        heard = await page.hear_all("a")
    assert heard[-1]["type"] == "done"
    assert words([message["event"] for message in heard]) == "one two three"
    assert len(await books.charges()) == 1


async def test_many_calls_at_once(http: Http) -> None:
    async with page_of(http) as page:
        for id in "abc":
            await page.say(type="start", id=id, request=HELLO)
        heard: dict[str, list[dict[str, Any]]] = {"a": [], "b": [], "c": []}
        while sum(messages[-1:] != [] and messages[-1]["type"] == "done" for messages in heard.values()) < 3:
            message = await page.hear()
            heard[message["id"]].append(message)
    assert {words([message["event"] for message in messages]) for messages in heard.values()} == {"one two three"}


async def test_cancelling(http: Http) -> None:
    async with page_of(http) as page:
        await page.say(type="start", id="a", request=STALLED)
        assert (await page.hear())["type"] == "message"
        await page.say(type="cancel", id="a")
        heard = await page.hear_all("a")
        assert (heard[-1]["type"], heard[-1]["error"]["code"]) == ("error", "canceled")
        await page.say(type="cancel", id="none")
        await page.say(type="start", id="a", request=HELLO)
        assert (await page.hear_all("a"))[-1]["type"] == "done"


async def test_cancelled_in_the_same_breath(http: Http) -> None:
    async with page_of(http) as page:
        said = ({"type": "start", "id": "a", "request": STALLED}, {"type": "cancel", "id": "a"})
        await page.socket.send(b"".join(page.frames.send(TextMessage(json.dumps(each))) for each in said))
        assert (await page.hear_all("a"))[-1]["error"]["code"] == "canceled"


async def test_an_open_socket_takes_no_place_in_the_house(http: Http) -> None:
    async with page_of(http) as page:
        await page.say(type="start", id="a", request=HELLO)
        await page.hear_all("a")
        assert b'trunkline_door_calls{state="inside"} 0\n' in (await http.get("/metrics")).body


async def test_a_page_that_is_closed_stops_the_provider(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    http = Http(await start_gateway(OPENAI.environment(upstream.url)))
    answer = upstream.stream([OPENAI.opening(), OPENAI.delta("one "), asyncio.Event()])
    async with page_of(http) as page:
        await page.say(type="start", id="a", request=SLOW)
        await page.hear()
        left = time.monotonic()
    assert await answer.client_left() - left < 1
    await until(lambda: http.gateway.house.http.traffic.open_streams["websocket"] == 0)

    async def settled() -> bool:
        return [row["outcome"] for row in await books.usage()] == ["OUTCOME_CANCELLED"]

    await until(settled)


async def test_what_is_no_message(http: Http) -> None:
    async with page_of(http) as page:
        for message in [
            "nonsense",
            "[]",
            '{"type": "sing"}',
            '{"type": "start"}',
            '{"type": "start", "id": "a", "request": {"x": 1}}',
        ]:
            await page.put(TextMessage(message))
            told = await page.hear()
            assert (told["type"], told["error"]["code"]) == ("error", "invalid_argument")
        await page.say(type="start", id="b", request=HELLO)
        assert (await page.hear_all("b"))[-1]["type"] == "done"


async def test_too_many_calls_and_names_that_are_taken(http: Http) -> None:
    async with page_of(http) as page:
        for n in range(32):
            await page.say(type="start", id=str(n), request=STALLED)
        for id, code in (("more", "resource_exhausted"), ("3", "invalid_argument")):
            await page.say(type="start", id=id, request=HELLO)
            while "error" not in (told := await page.hear()):
                pass
            assert (told["id"], told["error"]["code"]) == (id, code)


async def test_pieces_pings_and_farewells(http: Http) -> None:
    text = json.dumps({"type": "start", "id": "a", "request": HELLO})
    async with page_of(http) as page:
        await page.put(TextMessage(text[:10], message_finished=False))
        await page.put(TextMessage(text[10:]))
        assert (await page.hear_all("a"))[-1]["type"] == "done"
        await page.put(Ping(b"x"))
        assert isinstance(await page.event(), Pong)
        await page.put(CloseConnection(1000))
        await page.socket.send(b"\x81\x80\0\0\0\0")  # nothing counts behind the end
        assert isinstance(await page.event(), CloseConnection)
        assert await page.socket.gone() == b""


@pytest.mark.parametrize(
    ("sent", "code"),
    [(BytesMessage(b"x"), 1003), (TextMessage("x" * 20_000), 1009), (b"\x81\x01x", 1002), (b"\xff" * 9, 1002)],
)
async def test_what_ends_a_socket(start_gateway: StartGateway, sent: Any, code: int) -> None:
    http = Http(await start_gateway(http={"receive_bytes_max": 10_000}))
    async with page_of(http) as page:
        await (page.socket.send(sent) if isinstance(sent, bytes) else page.put(sent))
        told = await page.event()
        assert isinstance(told, CloseConnection)
        assert told.code == code
        assert await page.socket.gone() == b""


async def test_a_silent_page_is_let_go(start_gateway: StartGateway) -> None:
    http = Http(await start_gateway(http={"idle_timeout_s": 0.3}))
    async with page_of(http) as idle, page_of(http) as busy:
        await busy.say(type="start", id="a", request=STALLED)
        told = await idle.event()
        assert isinstance(told, CloseConnection)
        await until(lambda: http.gateway.house.http.traffic.open_streams["websocket"] == 0)
        assert b"partDelta" in await busy.socket.gone(), "it had been pinged, and did not answer"


async def test_who_may_open_a_socket(start_gateway: StartGateway) -> None:
    environment = {"TRUNKLINE_HTTP__ALLOWED_ORIGINS": '["https://app.test"]'}
    http = Http(await start_gateway(environment, http={"streams_per_key_max": 1}))
    assert (await refused(http, authorization="")).status == 401
    assert (await refused(http, origin="https://evil.test")).status == 403
    assert (await refused(http, origin="null")).status == 403
    assert (await refused(http, origin="http://[")).status == 403
    assert (await refused(http, sec_websocket_version="8")).status == 426
    assert (await refused(http, upgrade="h2c")).status == 426
    assert (await http.get("/ws")).status == 426
    offered = f"trunkline.v1, trunkline.key.{http.gateway.key}"
    for origin in ("https://app.test", http.url):
        async with page_of(http, origin=origin, authorization="", sec_websocket_protocol=offered) as page:
            await page.say(type="start", id="a", request=HELLO)
            assert (await page.hear_all("a"))[-1]["type"] == "done"
            full = await refused(http)
            assert (full.status, full.json()["code"]) == (429, "resource_exhausted")
            assert (await http.post("/stream", HELLO)).status == 429
        await until(lambda: http.gateway.house.http.traffic.open_streams["websocket"] == 0)
    assert (await http.post("/stream", HELLO)).status == 200
