"""The fixtures of the gateway's tests."""

from __future__ import annotations

from tests.fixtures.books import books
from tests.fixtures.fleet import fleet, start_fleet
from tests.fixtures.gateway import gateway, start_gateway
from tests.fixtures.postgres import database, postgres_server, postgres_url
from tests.fixtures.scripted import upstream

__all__ = [
    "books",
    "database",
    "fleet",
    "gateway",
    "postgres_server",
    "postgres_url",
    "start_fleet",
    "start_gateway",
    "upstream",
]
