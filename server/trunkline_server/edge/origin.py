"""Where a page that calls comes from."""

from __future__ import annotations

from trunkline_server.edge.exchange import Exchange


def is_own(exchange: Exchange) -> bool:
    """Whether it was served at the address that it calls; so is whoever names no page."""
    origin = exchange.header("origin")
    return not origin or origin.partition("://")[2] == exchange.header("host")
