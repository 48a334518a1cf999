"""The fixtures of the worker's tests."""

from __future__ import annotations

from tests.fixtures.postgres import database, postgres_server, postgres_url

__all__ = ["database", "postgres_server", "postgres_url"]
