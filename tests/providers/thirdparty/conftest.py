"""The fixtures of a whole gateway."""

from __future__ import annotations

from tests.fixtures.gateway import start_gateway
from tests.fixtures.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url", "start_gateway"]
