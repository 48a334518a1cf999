"""The fixtures of what people build with chat: prompts, assistants, conversations."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fixtures.books import books
from tests.fixtures.gateway import gateway, start_gateway
from tests.fixtures.postgres import database, postgres_server, postgres_url
from tests.fixtures.upstream import Upstream

__all__ = ["books", "database", "gateway", "postgres_server", "postgres_url", "start_gateway"]


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """A provider whose answers are scripted."""
    async with Upstream() as server:
        yield server
