"""The fixtures of the HTTP door's tests."""

from __future__ import annotations

from tests.fixtures.books import books
from tests.fixtures.browser import browser
from tests.fixtures.gateway import gateway, start_gateway
from tests.fixtures.http import http
from tests.fixtures.postgres import database, postgres_server, postgres_url
from tests.fixtures.scripted import upstream

__all__ = [
    "books",
    "browser",
    "database",
    "gateway",
    "http",
    "postgres_server",
    "postgres_url",
    "start_gateway",
    "upstream",
]
