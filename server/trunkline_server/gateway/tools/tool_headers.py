"""Headers that tenants give for their tools: all but those that are ours to send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline_server.core.errors import Reason, invalid

OURS: Final = frozenset(
    (
        "host",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "accept",
        "accept-encoding",
        "upgrade",
    )
)
_FAMILIES: Final = ("webhook-", "mcp-", "proxy-")


def checked_headers(given: Mapping[str, str]) -> dict[str, str]:
    """By their names in lower case. Raises FIELD_FORBIDDEN."""
    headers = {name.lower(): value for name, value in given.items()}
    for name in headers:
        if name in OURS or name.startswith(_FAMILIES):
            raise invalid("secret_headers", f"{name!r} is not yours to set", Reason.FIELD_FORBIDDEN)
    return headers
