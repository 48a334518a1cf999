"""The fixtures of the tests of background work."""

from __future__ import annotations

from tests.fixtures.books import books
from tests.fixtures.fleet import fleet, start_fleet
from tests.fixtures.gateway import gateway, start_gateway
from tests.fixtures.postgres import database, own_postgres, postgres_server, postgres_url
from tests.fixtures.scripted import openai, upstream
from tests.fixtures.served import serve

__all__ = [
    "books",
    "database",
    "fleet",
    "gateway",
    "openai",
    "own_postgres",
    "postgres_server",
    "postgres_url",
    "serve",
    "start_fleet",
    "start_gateway",
    "upstream",
]
