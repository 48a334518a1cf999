"""The fixtures of the tests of actions."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fixtures.gateway import RunningGateway, StartGateway, gateway, start_gateway
from tests.fixtures.postgres import database, postgres_server, postgres_url
from tests.fixtures.upstream import Upstream

__all__ = ["database", "gateway", "postgres_server", "postgres_url", "start_gateway"]


@pytest.fixture
async def clerk() -> AsyncIterator[Upstream]:
    """An address that executes actions, as scripted."""
    async with Upstream() as server:
        yield server


@pytest.fixture
async def desk(start_gateway: StartGateway, clerk: Upstream) -> RunningGateway:
    """A gateway that may post to the clerk."""
    hosts = f'["127.0.0.1:{clerk.port}"]'
    return await start_gateway(egress={"allow_http_hosts": hosts, "allow_private_hosts": hosts})
