"""Browser tokens where pages put them: in an address, among the protocols of a WebSocket, in a header."""

from __future__ import annotations

import json
from typing import Any

from tests.edge.test_live import HELLO, page_of, refused, words
from tests.fixtures.gateway import StartGateway
from tests.fixtures.http import Http
from trunkline.v1 import admin_pb2, usage_pb2

ORIGIN = "https://app.test"
PROMPT = "/stream?model=sandbox/echo&prompt=one%20two%20three"


async def minted(http: Http, **fields: Any) -> str:
    request = admin_pb2.CreateBrowserTokenRequest(
        user_id="ada",
        allowed_models=["sandbox/echo"],
        budget=usage_pb2.Amount(unit="CREDIT", nanos=10**12),
        **fields,
    )
    made = await http.gateway.admin.CreateBrowserToken(request, metadata=http.gateway.metadata())
    return str(made.token)


async def test_every_way_that_a_page_has(http: Http) -> None:
    token = await minted(http)
    source = await http.get(f"{PROMPT}&token={token}", authorization="")
    assert words([json.loads(data) for _, data in source.events]) == "one two three"
    async with page_of(http, authorization="", sec_websocket_protocol=f"trunkline.v1, trunkline.key.{token}") as page:
        await page.say(type="start", id="a", request=HELLO)
        assert (await page.hear_all("a"))[-1]["type"] == "done"
    answer = await http.post("/trunkline.v1.ChatService/Complete", HELLO, authorization=f"Bearer {token}")
    assert answer.status == 200
    hidden = await http.get("/v1/models", authorization=f"Bearer {token}")
    assert hidden.status == 403
    assert (await http.get(f"{PROMPT}&token={http.gateway.key}", authorization="")).status == 401, "keys stay out of it"
    assert (await http.get(f"{PROMPT}&token={token}")).status == 401, "one of them"
    assert (await http.get(f"/v1/models?token={token}", authorization="")).status == 401, "only for pages that must"


async def test_a_token_is_for_the_pages_that_it_names(start_gateway: StartGateway) -> None:
    http = Http(await start_gateway({"TRUNKLINE_HTTP__ALLOWED_ORIGINS": f'["{ORIGIN}", "https://other.test"]'}))
    token = await minted(http, allowed_origins=[ORIGIN])
    path = f"{PROMPT}&token={token}"
    told = await http.get(path, authorization="", origin=ORIGIN)
    assert (told.status, told.headers["access-control-allow-origin"]) == (200, ORIGIN)
    for elsewhere in ("https://other.test", "null", ""):
        answer = await http.get(path, authorization="", origin=elsewhere)
        assert (answer.status, answer.json()["code"]) == (403, "permission_denied")
    offered = f"trunkline.v1, trunkline.key.{token}"
    async with page_of(http, origin=ORIGIN, authorization="", sec_websocket_protocol=offered) as page:
        await page.say(type="start", id="a", request=HELLO)
        assert (await page.hear_all("a"))[-1]["type"] == "done"
    other = await refused(http, origin="https://other.test", authorization="", sec_websocket_protocol=offered)
    assert other.status == 403


async def test_each_token_has_places_of_its_own(start_gateway: StartGateway) -> None:
    http = Http(await start_gateway(http={"streams_per_key_max": 1}))
    tokens = [await minted(http), await minted(http)]
    first, second = (f"trunkline.v1, trunkline.key.{token}" for token in tokens)
    async with (
        page_of(http, authorization="", sec_websocket_protocol=first),
        page_of(http, authorization="", sec_websocket_protocol=second),
    ):
        full = await refused(http, authorization="", sec_websocket_protocol=first)
        assert full.status == 429
