"""The database as commands meet it: open as long as it is needed, its failures told in one line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from trunkline_server.cli.failure import Failure
from trunkline_server.config import Settings
from trunkline_server.store.embedded import EmbeddedPostgres
from trunkline_server.store.opening import DatabaseUnusable, opening


@asynccontextmanager
async def database(settings: Settings, *, may_make: bool = False) -> AsyncIterator[str]:
    """The URL of the database of the settings; the embedded one runs until the end of the block. `may_make`: it need
    not be there yet."""
    if settings.database_url:
        yield settings.database_url
        return
    if may_make:
        _make(settings)
    elif not is_there(settings):
        raise Failure(
            f"there is no database in {settings.data_path}; set TRUNKLINE_DATA_DIR to where the gateway has it"
        )
    embedded = await EmbeddedPostgres.start(settings.data_path / "postgres")
    try:
        yield embedded.url
    finally:
        await embedded.stop()


def is_there(settings: Settings) -> bool:
    """Whether there is a database to look into."""
    return bool(settings.database_url) or (settings.data_path / "postgres" / "data").exists()


@contextmanager
def failures_told() -> Iterator[None]:
    """Ends the command where the database does not answer, does not let us in, or is not ours. Says no URL: it has a
    password."""
    try:
        with opening():
            yield
    except DatabaseUnusable as error:
        raise Failure(str(error)) from None


@contextmanager
def connecting_told() -> Iterator[None]:
    """The same for a block that does nothing but connect: there, odd values can only come from the address."""
    try:
        with failures_told():
            yield
    except (ValueError, OverflowError):
        raise Failure("database_url: cannot be read; it is like postgresql://user@host:5432/name") from None


def _make(settings: Settings) -> None:
    try:
        settings.data_path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"data_dir: {settings.data_path} cannot be made ({error.strerror})") from None
