"""A gateway, and the client that users get."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fixtures.gateway import RunningGateway, gateway, start_gateway
from tests.fixtures.postgres import database, postgres_server, postgres_url
from trunkline import AsyncTrunkline

__all__ = ["database", "gateway", "postgres_server", "postgres_url", "start_gateway"]


@pytest.fixture
async def trunkline(gateway: RunningGateway) -> AsyncIterator[AsyncTrunkline]:
    """The asynchronous client, with a key that may do everything."""
    async with AsyncTrunkline(gateway.house.grpc_address, key=gateway.key) as client:
        yield client
