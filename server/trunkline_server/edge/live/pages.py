"""Where pages put their credential: an event source and a WebSocket cannot set headers."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from trunkline_server.core import browser_token
from trunkline_server.edge.calls import metadata_of
from trunkline_server.edge.exchange import Exchange, Headers

TOKEN: Final = "token"


def metadata_of_page(exchange: Exchange) -> Headers:
    """With the browser token of the address. A key there would be read in logs of others for long, and is not taken."""
    told = dict(parse_qsl(exchange.head.query)).get(TOKEN, "") if TOKEN in exchange.head.query else ""
    given = metadata_of(exchange)
    return [*given, ("authorization", f"Bearer {told}")] if told.startswith(browser_token.PREFIX) else given
