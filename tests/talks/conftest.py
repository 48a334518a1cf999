"""The fixtures of what people build with chat: prompts, assistants, conversations."""

from __future__ import annotations

from tests.fixtures.books import books
from tests.fixtures.gateway import gateway, start_gateway
from tests.fixtures.postgres import database, postgres_server, postgres_url
from tests.fixtures.scripted import upstream

__all__ = ["books", "database", "gateway", "postgres_server", "postgres_url", "start_gateway", "upstream"]
