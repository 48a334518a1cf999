"""The files of the dashboard, as they go out: from memory, with what keeps a page to itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from trunkline_server.edge.exchange import Exchange, Headers, Reply

INDEX: Final = "index.html"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE: Final[Headers] = (
    ("content-security-policy", _POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
)
_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class File:
    """One of them."""

    body: bytes
    media_type: str

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.body).hexdigest()[:24]}"'

    def reply(self, exchange: Exchange) -> Reply:
        """Not sent again to whoever has it."""
        headers = (("etag", self.etag), ("cache-control", "no-cache"), *SAFE)
        if exchange.header("if-none-match") == self.etag:
            return Reply(304, headers)
        return Reply(200, (("content-type", self.media_type), *headers), self.body)


def bundled() -> Mapping[str, File]:
    """All of them by name."""
    folder = files(__package__) / "pages"
    return {each.name: File(each.read_bytes(), _TYPES[each.name.rpartition(".")[2]]) for each in folder.iterdir()}
