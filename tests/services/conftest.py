"""The fixtures of the tests of services."""

from __future__ import annotations

from tests.fixtures.gateway import gateway, start_gateway
from tests.fixtures.postgres import database, postgres_server, postgres_url
from tests.fixtures.scripted import openai, reaching, upstream

__all__ = ["database", "gateway", "openai", "postgres_server", "postgres_url", "reaching", "start_gateway", "upstream"]
