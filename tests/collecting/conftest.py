"""The fixtures of collections' tests."""

from __future__ import annotations

from tests.fixtures.books import books
from tests.fixtures.gateway import gateway, start_gateway
from tests.fixtures.postgres import database, postgres_server, postgres_url, shared_postgres_url

__all__ = ["books", "database", "gateway", "postgres_server", "postgres_url", "shared_postgres_url", "start_gateway"]
