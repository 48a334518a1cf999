"""Which failures mean "the database did not answer", and how that is told: STORE_UNAVAILABLE, the cause kept inside.

Such a failure is ambiguous: what was asked may have been done. Who repeats it must repeat it with the same ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from trunkline_server.core.errors import store_unavailable

_OUTAGES: tuple[type[BaseException], ...] = (
    OSError,  # refused, reset, no socket file, and TimeoutError
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up, statement_timeout
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # the primary moved
    asyncpg.InvalidCachedStatementError,  # a migration changed what it returns; asked again, it is prepared anew
)


def is_outage(error: BaseException) -> bool:
    """True where the database did not answer, rather than answered with a refusal."""
    return isinstance(error, _OUTAGES) or (type(error) is asyncpg.InterfaceError and "clos" in str(error))


@contextmanager
def cancellation_kept() -> Iterator[list[asyncio.CancelledError]]:
    """Takes the cancellation of a statement, and raises it again where giving the connection back fails after it: the
    driver raises that failure in its place, and whoever is cancelled would go on."""
    kept: list[asyncio.CancelledError] = []
    try:
        yield kept
    except Exception:
        if kept:
            raise kept[0] from None
        raise


@contextmanager
def outage_told() -> Iterator[None]:
    """Turns an outage into the TrunklineError STORE_UNAVAILABLE; lets everything else through."""
    try:
        yield
    except Exception as error:
        if is_outage(error):
            raise store_unavailable() from error
        raise
