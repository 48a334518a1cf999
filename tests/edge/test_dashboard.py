"""The dashboard over HTTP: who gets in, what a session is worth, and what other pages can do with it: nothing."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.fixtures.gateway import StartGateway
from tests.fixtures.http import Answered, Http
from trunkline.v1 import admin_pb2
from trunkline_server.edge.dashboard.sessions import COOKIE, Sessions

SESSION: Final = "/dashboard/session"
COSTS: Final = "/dashboard/api/trunkline.v1.AnalyticsService/GetCosts"
MARK: Final[dict[str, Any]] = {"x_trunkline_dashboard": "1"}


async def signed_in(http: Http, key: str = "") -> Answered:
    return await http.post(SESSION, {"api_key": key or http.gateway.key}, authorization="", **MARK)


async def session(http: Http, key: str = "") -> str:
    """The cookie as a browser sends it back."""
    return (await signed_in(http, key)).headers["set-cookie"].split(";")[0]


async def ask(http: Http, cookie: str, path: str = COSTS, **headers: Any) -> Answered:
    return await http.post(path, **{"authorization": "", "cookie": cookie, **MARK, **headers})


async def key_with(http: Http, *scopes: str) -> admin_pb2.CreateApiKeyResponse:
    request = admin_pb2.CreateApiKeyRequest(name="key", scopes=scopes)
    return await http.gateway.admin.CreateApiKey(request, metadata=http.gateway.metadata())


async def test_pages_are_for_everybody_and_need_nothing_from_elsewhere(http: Http) -> None:
    moved = await http.get("/dashboard", authorization="")
    assert (moved.status, moved.headers["location"]) == (308, "/dashboard/")
    page = await http.get("/dashboard/", authorization="")
    assert page.status == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http:" not in policy
    for name, media_type in (("app.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")):
        file = await http.get(f"/dashboard/{name}", authorization="")
        assert file.headers["content-type"].startswith(media_type)
        assert file.headers["x-content-type-options"] == "nosniff"
        assert file.status == 200
        kept = await http.get(f"/dashboard/{name}", authorization="", if_none_match=file.headers["etag"])
        assert (kept.status, kept.body) == (304, b"")


@pytest.mark.parametrize("name", ["nothing.js", "../door.py", "%2e%2e/door.py", "pages/app.js", "__init__.py"])
async def test_no_other_file_is_given(http: Http, name: str) -> None:
    assert (await http.get(f"/dashboard/{name}", authorization="")).status == 404


async def test_a_session(http: Http) -> None:
    told = await signed_in(http)
    assert (told.status, told.headers["cache-control"]) == (204, "no-store")
    pair, *attributes = told.headers["set-cookie"].split("; ")
    assert set(attributes) == {"Path=/dashboard", "Max-Age=43200", "HttpOnly", "SameSite=Strict"}
    assert http.gateway.key not in pair
    assert (await http.get(SESSION, authorization="", cookie=pair)).json() == {"signed_in": True}
    answer = await ask(http, pair)
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    ended = await http.post(f"{SESSION}/end", authorization="", cookie=pair, **MARK)
    assert ended.headers["set-cookie"].startswith(f"{COOKIE}=; Path=/dashboard; Max-Age=0")


async def test_over_tls_the_cookie_goes_no_other_way(http: Http) -> None:
    told = await http.post(SESSION, {"api_key": http.gateway.key}, x_forwarded_proto="https", **MARK)
    assert told.headers["set-cookie"].endswith("; Secure")


@pytest.mark.parametrize("given", [{"api_key": "wrong"}, {"api_key": ""}, {"api_key": 1}, {}, []])
async def test_who_has_no_key_stays_out(http: Http, given: Any) -> None:
    told = await http.post(SESSION, given, authorization="", **MARK)
    assert told.status in (400, 401)
    assert "set-cookie" not in told.headers
    assert (await http.get(SESSION, authorization="")).json() == {"signed_in": False}


async def test_a_key_gives_what_it_may_and_no_more(http: Http) -> None:
    other = await key_with(http, "chat:write")
    assert (await signed_in(http, other.secret)).status == 403
    reader = await key_with(http, "analytics:read")
    cookie = await session(http, reader.secret)
    assert (await ask(http, cookie)).status == 200
    assert (await ask(http, cookie, "/dashboard/api/trunkline.v1.ProviderService/ListProviders")).status == 403
    revoke = admin_pb2.RevokeApiKeyRequest(key_id=reader.api_key.key_id)
    await http.gateway.admin.RevokeApiKey(revoke, metadata=http.gateway.metadata())
    assert (await ask(http, cookie)).status == 401
    assert (await http.get(SESSION, authorization="", cookie=cookie)).json() == {"signed_in": False}


@pytest.mark.parametrize(
    "headers",
    [
        {"x_trunkline_dashboard": ""},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
async def test_other_pages_get_nowhere(http: Http, headers: dict[str, Any]) -> None:
    cookie = await session(http)
    assert (await ask(http, cookie, **headers)).status == 403
    assert (await http.post(SESSION, {"api_key": http.gateway.key}, **{**MARK, **headers})).status == 403
    assert (await ask(http, cookie, f"{SESSION}/end", **headers)).status == 403
    assert (await ask(http, cookie, origin=f"http://{http.address}", sec_fetch_site="same-origin")).status == 200


async def test_a_cookie_that_is_none(http: Http) -> None:
    cookie = await session(http)
    value = cookie.removeprefix(f"{COOKIE}=")
    for bad in ("", "x", value[:-8], value[:20] + ("A" if value[20] != "A" else "B") + value[21:], '"', "é" * 3):
        assert (await ask(http, f"{COOKIE}={bad}")).status == 401
    assert (await ask(http, "")).status == 401
    assert (await http.post(COSTS, cookie="", **MARK)).status == 401, "a key of one's own is not taken here"


def test_a_session_ends_and_is_of_one_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions.derive(b"secret", 60)
    cookie = sessions.begin("key", secure=False).split(";")[0]
    assert sessions.api_key(f"other=1; {cookie}") == "key"
    assert Sessions.derive(b"other", 60).api_key(cookie) is None
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert sessions.api_key(cookie) is None


async def test_an_unknown_method_and_one_that_is_read_only(http: Http) -> None:
    cookie = await session(http)
    assert (await ask(http, cookie, "/dashboard/api/trunkline.v1.AnalyticsService/Nothing")).status == 404
    assert (await ask(http, cookie, "/dashboard/api/v1/models")).status == 404


async def test_a_stream_comes_line_by_line(http: Http) -> None:
    cookie = await session(http)
    asked = {
        "input": {"model": "sandbox/echo", "messages": [{"role": "ROLE_USER", "parts": [{"text": {"text": "hi"}}]}]}
    }
    told = await http.post(
        "/dashboard/api/trunkline.v1.ChatService/Stream", asked, authorization="", cookie=cookie, **MARK
    )
    assert [next(iter(set(line["event"]) - {"sequence"})) for line in told.lines][-1] == "completed"
    assert "charge" in told.lines[-1]["event"]["completed"]


async def test_a_gateway_without_it(start_gateway: StartGateway) -> None:
    http = Http(await start_gateway(dashboard={"enabled": "false"}))
    for path in ("/dashboard", "/dashboard/", SESSION):
        assert (await http.get(path)).status == 404
