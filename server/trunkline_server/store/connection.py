"""How a connection to PostgreSQL is made: its limits in time, so that a database that hangs never hangs the gateway."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

LOCK_TIMEOUT_S = 0.25
IDLE_IN_TRANSACTION_S = 5.0
HNSW_EF_SEARCH = 200
"""How many neighbours a search of pgvector's index keeps in view: among 100,000 vectors that are spread as those of
texts 98 of 100 of the nearest are found; with 100 neighbours 94, with 40 84."""


@dataclass(frozen=True)
class DatabaseSettings:
    """Where the database is, and how long each thing may take."""

    url: str = field(repr=False)  # holds a password
    pool_max: int = 10
    command_timeout_s: float = 1.0
    connect_timeout_s: float = 2.0
    acquire_timeout_s: float = 0.25


def server_settings(settings: DatabaseSettings) -> dict[str, str]:
    """Limits that the server keeps."""
    return {
        "application_name": "trunkline",
        "timezone": "UTC",
        "jit": "off",
        "statement_timeout": statement_timeout(settings.command_timeout_s),
        "lock_timeout": _ms(min(LOCK_TIMEOUT_S, settings.command_timeout_s / 2)),
        "idle_in_transaction_session_timeout": _ms(IDLE_IN_TRANSACTION_S),
        "hnsw.ef_search": str(HNSW_EF_SEARCH),
        "hnsw.iterative_scan": "strict_order",
    }


async def connect(settings: DatabaseSettings) -> asyncpg.Connection[asyncpg.Record]:
    """One connection outside the pool; raises what asyncpg raises."""
    return await asyncpg.connect(
        settings.url,
        timeout=settings.connect_timeout_s,
        command_timeout=settings.command_timeout_s,
        server_settings=server_settings(settings),
    )


def statement_timeout(timeout_s: float) -> str:
    """The server's limit strikes just before ours: an ended statement is cheaper than an ended connection."""
    return _ms(timeout_s * 0.9)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
