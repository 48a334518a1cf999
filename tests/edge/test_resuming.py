"""Pages that come back to a stream: a browser's event source by itself, a WebSocket by a word."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from google.protobuf import json_format

from tests.edge.test_live import HELLO, MESSAGE, OPENAI, Page, page_of, words
from tests.fixtures.books import Books
from tests.fixtures.gateway import StartGateway
from tests.fixtures.http import Http
from tests.fixtures.requests.actions import GOOD
from tests.fixtures.upstream import Upstream

PAUSING: dict[str, Any] = {"input": {"model": OPENAI.name, "messages": [MESSAGE]}, "resumable": True}


async def test_an_event_source_goes_on_by_itself(books: Books, start_gateway: StartGateway, upstream: Upstream) -> None:
    http = Http(await start_gateway(OPENAI.environment(upstream.url)))
    more = asyncio.Event()
    upstream.stream([OPENAI.opening(), OPENAI.delta("one "), more, OPENAI.delta("two"), OPENAI.ending(2)])
    path = f"/stream?model={OPENAI.name}&prompt=count&resumable=true"
    async with http.socket() as socket:
        await socket.send(http.request(path, x_trunkline_user="ada"))
        heard = await socket.reader.readuntil(b"one ")
        heard += await socket.reader.readuntil(b"\n\n")
    last = heard.rpartition(b"id: ")[2].split(b"\n")[0].decode()
    more.set()
    rest = await http.get(path, x_trunkline_user="ada", last_event_id=last)
    assert rest.status == 200
    assert words([json.loads(data) for _, data in rest.events]) == "two"
    assert rest.events[-1][0] == "done"
    end = rest.body.rpartition(b"id: ")[2].split(b"\n")[0].decode()
    again = await http.get(path, x_trunkline_user="ada", last_event_id=end)
    assert (again.status, again.body) == (204, b""), "or the browser would ask for ever"
    foreign = await http.get(path, x_trunkline_user="bob", last_event_id=last)
    assert (foreign.status, foreign.json()["code"]) == (404, "not_found")
    assert len(await books.charges()) == 1


async def test_what_cannot_be_come_back_to_is_not_asked_and_paid_again(http: Http, books: Books) -> None:
    answer = await http.post("/stream", HELLO, last_event_id="3")
    assert (answer.status, answer.json()["code"]) == (400, "out_of_range")
    assert await books.charges() == []


async def test_a_page_goes_on_by_another_socket(start_gateway: StartGateway, upstream: Upstream) -> None:
    http = Http(await start_gateway(OPENAI.environment(upstream.url)))
    more = asyncio.Event()
    upstream.stream([OPENAI.opening(), OPENAI.delta("one "), more, OPENAI.delta("two"), OPENAI.ending(2)])
    async with page_of(http) as page:
        await page.say(type="start", id="a", request=PAUSING)
        first = await heard_word(page)
    async with page_of(http) as page:
        more.set()
        await page.say(type="resume", id="b", request={"resumeToken": first["resumeToken"]})
        heard = await page.hear_all("b")
        assert (words([message["event"] for message in heard]), heard[-1]["type"]) == ("two", "done")
        place = {
            "completionId": first["resumeToken"].partition(".")[0],
            "afterSequence": heard[-1]["event"]["sequence"],
        }
        await page.say(type="resume", id="c", request=place)
        assert await page.hear_all("c") == [{"type": "done", "id": "c"}]


async def heard_word(page: Page) -> dict[str, Any]:
    """The first event with a word in it."""
    while "text" not in (event := (await page.hear())["event"]).get("partDelta", {}):
        pass
    return dict(event)


async def test_an_action_from_a_page(http: Http) -> None:
    request = json_format.MessageToDict(GOOD["ActionService/ExecuteAction"])
    async with page_of(http) as page:
        await page.say(type="action", id="a", request=request)
        told = await page.hear()
        assert (told["type"], told["id"], told["error"]["code"]) == ("error", "a", "not_found"), told
