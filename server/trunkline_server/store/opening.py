"""Opening the database at the start: whatever is wrong is told in one line that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.store.binaries import EmbeddedPostgresError
from trunkline_server.store.migrate import MigrationError


class DatabaseUnusable(Exception):
    """The database cannot be used; the message is for the operator, and holds no password."""


@contextmanager
def opening() -> Iterator[None]:
    """Raises DatabaseUnusable instead of what the database, its embedded server or its migrations raise."""
    try:
        yield
    except (MigrationError, EmbeddedPostgresError) as error:
        raise DatabaseUnusable(str(error)) from error
    except TrunklineError as error:
        if error.reason is not Reason.STORE_UNAVAILABLE:
            raise
        raise DatabaseUnusable("database_url: no database answers there; start it, or correct the address") from error
    except asyncpg.UndefinedTableError as error:
        raise DatabaseUnusable("the database lacks tables of this version; run `trunkline migrate`") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        remedy = "check user, password, database name and rights"
        raise DatabaseUnusable(f"database_url: the database refuses ({type(error).__name__}); {remedy}") from error
