"""The fixtures of the tests of fine-tuning."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fixtures.books import books
from tests.fixtures.fleet import fleet, start_fleet
from tests.fixtures.gateway import gateway, start_gateway
from tests.fixtures.postgres import database, own_postgres, postgres_server, postgres_url
from tests.fixtures.upstream import Upstream

__all__ = [
    "books",
    "database",
    "fleet",
    "gateway",
    "own_postgres",
    "postgres_server",
    "postgres_url",
    "start_fleet",
    "start_gateway",
]


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """A provider whose answers are scripted."""
    async with Upstream() as server:
        yield server
