"""What goes out, byte by byte, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline_server.providers.http.origin import Origin
from trunkline_server.providers.http.spelling import Spelling
from trunkline_server.wire.http import HttpRequest

USUAL = "user-agent: trunkline\r\naccept-encoding: gzip\r\n"


def spelled(request: HttpRequest, headers: dict[str, str] | None = None, url: str = "http://h") -> str:
    return Spelling(Origin.of(url), headers or {}).head(request).decode()


def test_a_request_with_a_body() -> None:
    request = HttpRequest("POST", "/chat?a=%2F", {"Content-Type": "application/json"}, b"{}")
    assert spelled(request, {"Authorization": "Bearer k"}, "https://h:8443/v1/") == (
        f"POST /v1/chat?a=%2F HTTP/1.1\r\nhost: h:8443\r\n{USUAL}"
        "Authorization: Bearer k\r\nContent-Type: application/json\r\ncontent-length: 2\r\n\r\n"
    )


@pytest.mark.parametrize(("method", "length"), [("GET", ""), ("DELETE", ""), ("POST", "content-length: 0\r\n")])
def test_requests_without_a_body(method: str, length: str) -> None:
    assert spelled(HttpRequest(method, "/")) == f"{method} / HTTP/1.1\r\nhost: h\r\n{USUAL}{length}\r\n"


def test_the_request_wins_over_the_provider_and_the_provider_over_us() -> None:
    request = HttpRequest("GET", "/", {"X-A": "request", "USER-AGENT": "mine"})
    assert spelled(request, {"x-a": "provider", "Host": "other"}) == (
        "GET / HTTP/1.1\r\nHost: other\r\nUSER-AGENT: mine\r\naccept-encoding: gzip\r\nX-A: request\r\n\r\n"
    )


BAD_HEADERS = [
    {"x": "a\r\nb: c"},
    {"x": "a\n"},
    {"x": "a\0"},
    {"x": "\x7f"},
    {"x": "\ud800"},
    {"x\r\n": "a"},
    {"x y": "a"},
    {"": "a"},
    {"x:": "a"},
    {"Content-Length": "1"},
    {"transfer-encoding": "chunked"},
]


@pytest.mark.parametrize("headers", BAD_HEADERS)
def test_headers_that_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        spelled(HttpRequest("GET", "/", headers))
    with pytest.raises(ValueError, match="cannot be written"):
        Spelling(Origin.of("http://h"), headers)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/a b"), ("GET", "/\r\n"), ("GET", "/é"), ("G T", "/"), ("", "/")]
)
def test_lines_that_are_refused(method: str, path: str) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        spelled(HttpRequest(method, path))


@given(name=st.text(max_size=5), value=st.text(max_size=5), path=st.text(max_size=5))
def test_a_request_has_the_lines_it_should_have(name: str, value: str, path: str) -> None:
    try:
        lines = spelled(HttpRequest("GET", f"/{path}", {f"x-{name}": value})).split("\r\n")
    except ValueError:
        return
    assert lines == [f"GET /{path} HTTP/1.1", "host: h", *USUAL.split("\r\n")[:2], f"x-{name}: {value}", "", ""]


GOOD_URLS = {
    "http://h": ("h", 80, False, "h", ""),
    "http://h:80/": ("h", 80, False, "h", ""),
    "HTTPS://H/v1/": ("h", 443, True, "h", "/v1"),
    "https://h:444/a/b": ("h", 444, True, "h:444", "/a/b"),
    "http://[::1]:8080/v1": ("::1", 8080, False, "[::1]:8080", "/v1"),
    "http://bücher.example": ("xn--bcher-kva.example", 80, False, "xn--bcher-kva.example", ""),
}


@pytest.mark.parametrize(("url", "expected"), GOOD_URLS.items())
def test_base_urls(url: str, expected: tuple[str, int, bool, str, str]) -> None:
    origin = Origin.of(url)
    assert (origin.host, origin.port, origin.tls, origin.authority, origin.prefix) == expected


def test_a_base_url_with_a_password() -> None:
    url = "http://user:p%40ss@h/v1"
    assert "authorization: Basic dXNlcjpwQHNz\r\n" in spelled(HttpRequest("GET", "/"), url=url)
    assert "p%40ss" not in repr(Origin.of(url))
    assert "dXNlcjpwQHNz" not in repr(Origin.of(url))
    assert "authorization: Bearer k\r\n" in spelled(HttpRequest("GET", "/"), {"authorization": "Bearer k"}, url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h",
        "ftp://h",
        "http://",
        "http://h?a=b",
        "http://h#a",
        "http://h:99999",
        "http://u:secret@\u2100",
        "http://a..b",
    ],
)
def test_base_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="a base url is"):
        Origin.of(url)
