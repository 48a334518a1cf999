"""Where a provider is: its base url, taken apart once."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import SplitResult, unquote, urlsplit

_PORTS: Final = {"http": 80, "https": 443}
_WANTED: Final = "a base url is http or https, with a host, without a query"


@dataclass(frozen=True, slots=True)
class Origin:
    """`authority` is what the Host header says; `prefix` stands before the path of every request."""

    host: str
    port: int
    tls: bool
    authority: str
    prefix: str
    authorization: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str) -> Self:
        """Raises ValueError where it is no base url; what was said is not repeated, it may hold a password."""
        try:
            parts = urlsplit(url.rstrip("/"))
            usual = _PORTS[parts.scheme]
            host, port = (parts.hostname or "").encode("idna").decode(), parts.port or usual
        except (KeyError, ValueError):
            raise ValueError(_WANTED) from None
        if not host or parts.query or parts.fragment:
            raise ValueError(_WANTED)
        return cls(host, port, parts.scheme == "https", _authority(host, port, usual), parts.path, _basic(parts))


def _authority(host: str, port: int, usual: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port == usual else f"{name}:{port}"


def _basic(parts: SplitResult) -> str:
    if parts.username is None:
        return ""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Basic {b64encode(pair.encode()).decode()}"
