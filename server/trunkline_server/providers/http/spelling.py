"""How a request is spelled: everything before its body, as bytes. What could break out of its line is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from trunkline_server.providers.http.origin import Origin
from trunkline_server.wire.http import HttpRequest

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
_TARGET: Final = re.compile(r"/[\x21-\x7e]*")
_FRAMING: Final = {"content-length", "transfer-encoding"}
_WITHOUT_BODY: Final = {"DELETE", "GET", "OPTIONS"}


class Spelling:
    """Spells requests to one origin. What is said every time is prepared; a request's own headers win."""

    def __init__(self, origin: Origin, headers: Mapping[str, str]) -> None:
        usual = {"host": origin.authority, "user-agent": "trunkline", "accept-encoding": "gzip"}
        if origin.authorization:
            usual["authorization"] = origin.authorization
        self._prefix = origin.prefix
        self._lines = {**_lines(usual), **_lines(headers)}
        self._prepared = b"".join(self._lines.values())

    def head(self, request: HttpRequest) -> bytes:
        """Raises ValueError for what cannot be written; it does not repeat it."""
        size = len(request.body)
        length = b"content-length: %d\r\n" % size if size or request.method not in _WITHOUT_BODY else b""
        return b"%b%b%b\r\n" % (
            _first_line(request.method, self._prefix + request.path),
            self._headers(request),
            length,
        )

    def _headers(self, request: HttpRequest) -> bytes:
        own = _lines(request.headers)
        if self._lines.keys().isdisjoint(own):
            return self._prepared + b"".join(own.values())
        return b"".join({**self._lines, **own}.values())


def _lines(headers: Mapping[str, str]) -> dict[str, bytes]:
    return {name.lower(): _line(name, value) for name, value in headers.items()}


@lru_cache(maxsize=256)
def _first_line(method: str, target: str) -> bytes:
    if not (_TOKEN.fullmatch(method) and _TARGET.fullmatch(target)):
        raise ValueError("the method or the path cannot be written")
    return f"{method} {target} HTTP/1.1\r\n".encode()


def _line(name: str, value: str) -> bytes:
    plain = value.isascii() and value.isprintable()
    if not _may_be_named(name) or not (plain or _VALUE.fullmatch(value)):
        raise ValueError("a header cannot be written")
    return f"{name}: {value}\r\n".encode()


@lru_cache(maxsize=256)
def _may_be_named(name: str) -> bool:
    return _TOKEN.fullmatch(name) is not None and name.lower() not in _FRAMING
