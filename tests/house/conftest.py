"""The fixtures of the tests of what the house is put together from."""

from __future__ import annotations

from tests.fixtures.gateway import gateway, start_gateway
from tests.fixtures.postgres import postgres_server, postgres_url

__all__ = ["gateway", "postgres_server", "postgres_url", "start_gateway"]
