"""The fixtures of the store's tests."""

from __future__ import annotations

from tests.fixtures.postgres import database, empty_url, own_postgres, postgres_server, postgres_url

__all__ = ["database", "empty_url", "own_postgres", "postgres_server", "postgres_url"]
