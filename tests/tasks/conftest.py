"""The fixtures of the tests of tasks."""

from __future__ import annotations

from tests.fixtures.books import books
from tests.fixtures.gateway import gateway, start_gateway
from tests.fixtures.postgres import database, postgres_server, postgres_url
from tests.fixtures.reader import reader, reading

__all__ = ["books", "database", "gateway", "postgres_server", "postgres_url", "reader", "reading", "start_gateway"]
