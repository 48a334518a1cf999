from __future__ import annotations

from tests.fixtures.gateway import gateway, start_gateway
from tests.fixtures.postgres import postgres_server, postgres_url
from tests.fixtures.valkey import own_valkey, valkey_server, valkey_url

__all__ = ["gateway", "own_valkey", "postgres_server", "postgres_url", "start_gateway", "valkey_server", "valkey_url"]
