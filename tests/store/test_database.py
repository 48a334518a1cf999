"""The door to PostgreSQL: what it gives, and how every outage leaves it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import asyncpg
import pytest

from tests.fixtures.until import until
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.store import listener
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.embedded import EmbeddedPostgres

TABLE = "CREATE TABLE thing (id int PRIMARY KEY)"
LISTENING = """SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@pytest.fixture
async def hasty(postgres_url: str) -> AsyncIterator[Database]:
    """With the limits of production, and one connection."""
    opened = await Database.open(DatabaseSettings(postgres_url, pool_max=1))
    yield opened
    await opened.close()


async def _outage_s(statement: Awaitable[object]) -> float:
    """How long it took until the outage was told."""
    started = time.monotonic()
    with pytest.raises(TrunklineError) as caught:
        await statement
    assert caught.value.reason is Reason.STORE_UNAVAILABLE
    assert caught.value.__cause__ is not None
    return time.monotonic() - started


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def _answers(database: Database) -> bool:
    try:
        return bool(await database.fetchval("SELECT true"))
    except TrunklineError:
        return False


async def _until_sleeping(database: Database) -> None:
    question = "SELECT count(*) > 0 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)'"
    await until(lambda: database.fetchval(question))


async def test_statements_and_their_shapes(database: Database) -> None:
    assert await database.fetchval("SELECT $1::int + 1", 41) == 42
    row = await database.fetchrow("SELECT 1 AS a, 2 AS b")
    assert row is not None
    assert (row["a"], row["b"]) == (1, 2)
    assert [row[0] for row in await database.fetch("SELECT generate_series(1, 3)")] == [1, 2, 3]
    assert await database.execute(TABLE) == "CREATE TABLE"


async def test_a_refusal_by_the_database_stays_what_it_is(database: Database) -> None:
    await database.execute(TABLE)
    await database.execute("INSERT INTO thing VALUES (1)")
    with pytest.raises(asyncpg.UniqueViolationError):
        await database.execute("INSERT INTO thing VALUES (1)")


async def test_a_transaction_is_whole_or_not_at_all(database: Database) -> None:
    await database.execute(TABLE)

    async def fail() -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO thing VALUES (1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO thing VALUES (2)")
    assert [row["id"] for row in await database.fetch("SELECT id FROM thing")] == [2]


async def test_opening_needs_no_database() -> None:
    database = await Database.open(DatabaseSettings("postgresql://nobody@/nothing?host=/nonexistent"))
    assert await _outage_s(database.fetchval("SELECT 1")) < 1
    await database.close()


async def test_settings_do_not_show_the_password() -> None:
    assert "hush" not in repr(DatabaseSettings("postgresql://me:hush@db/x"))


async def test_a_slow_statement_is_an_outage(hasty: Database) -> None:
    assert 0.5 < await _outage_s(hasty.fetchval("SELECT pg_sleep(30)")) < 2
    assert await hasty.fetchval("SELECT 1") == 1


@pytest.mark.parametrize("whose", ["everybody", "a tenant"])
async def test_a_patient_transaction_waits_here_as_the_server_does(hasty: Database, whose: str) -> None:
    asked = hasty if whose == "everybody" else hasty.of(uuid4())
    async with asked.patient(20) as connection:
        await connection.execute("SELECT pg_sleep(1.1)")
        limits = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
        assert tuple(await connection.fetchrow(limits) or ()) == ("18s", "18s")
    assert await hasty.fetchval("SELECT current_setting('statement_timeout')") == "900ms"


async def test_a_table_that_was_changed_meanwhile_is_worth_another_try(database: Database) -> None:
    await database.execute("CREATE TABLE thing (one integer)")
    async with database.transaction() as connection:
        await connection.fetch("SELECT * FROM thing")
    await database.execute("ALTER TABLE thing ADD COLUMN two integer")
    with pytest.raises(TrunklineError) as caught:
        async with database.transaction() as connection:
            await connection.fetch("SELECT * FROM thing")
    assert caught.value.reason is Reason.STORE_UNAVAILABLE
    async with database.transaction() as connection:
        assert await connection.fetch("SELECT * FROM thing") == []


async def test_who_is_cancelled_ends_although_the_database_does_not_answer(hasty: Database, database: Database) -> None:
    pid = await hasty.fetchval("SELECT pg_backend_pid()")
    asking = asyncio.create_task(hasty.execute("SELECT pg_sleep(30)"))
    await _until_sleeping(database)
    with _stopped(pid):
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_an_exhausted_pool_is_an_outage(hasty: Database) -> None:
    async with hasty.transaction():
        assert await _outage_s(hasty.fetchval("SELECT 1")) < 1
    assert await hasty.fetchval("SELECT 1") == 1


async def test_a_row_locked_by_somebody_is_an_outage(hasty: Database, database: Database) -> None:
    await database.execute(TABLE)
    await database.execute("INSERT INTO thing VALUES (1)")
    async with database.transaction() as connection:
        await connection.execute("SELECT FROM thing FOR UPDATE")
        assert await _outage_s(hasty.execute("UPDATE thing SET id = 2")) < 1


async def test_a_connection_that_hangs_is_an_outage_and_is_replaced(postgres_url: str) -> None:
    patient = await Database.open(
        DatabaseSettings(postgres_url, pool_max=1, command_timeout_s=0.5, acquire_timeout_s=8)
    )
    backend = await patient.fetchval("SELECT pg_backend_pid()")
    with _stopped(backend):
        assert await _outage_s(patient.fetchval("SELECT 1")) < 1.2  # the release does not wait as well
        assert await patient.fetchval("SELECT pg_backend_pid()") != backend
    await patient.close()


async def test_a_held_connection_that_hangs_is_an_outage_and_is_replaced(hasty: Database) -> None:
    held = await hasty.dedicated()
    backend = await held.fetchval("SELECT pg_backend_pid()")
    with _stopped(backend):
        assert await _outage_s(held.fetchval("SELECT 1")) < 2
        assert await held.fetchval("SELECT pg_backend_pid()") != backend


async def test_a_held_connection_ends_when_closed(database: Database) -> None:
    held = await database.dedicated()
    backend = await held.fetchval("SELECT pg_backend_pid()")
    await held.close()
    gone = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $1"
    await until(lambda: database.fetchval(gone, backend))


async def test_a_cancelled_statement_leaves_a_usable_pool(hasty: Database, database: Database) -> None:
    statement = asyncio.create_task(hasty.fetchval("SELECT pg_sleep(30)"))
    await _until_sleeping(database)
    statement.cancel()
    with pytest.raises(asyncio.CancelledError):
        await statement
    await until(lambda: _answers(hasty))


async def test_a_held_connection_comes_back(database: Database) -> None:
    held = await database.dedicated()
    backend = await held.fetchval("SELECT pg_backend_pid()")
    assert await held.fetchval("SELECT pg_backend_pid()") == backend
    await _outage_s(held.fetch("SELECT pg_terminate_backend(pg_backend_pid())"))
    row = await held.fetchrow("SELECT pg_backend_pid()")
    assert row is not None
    assert row[0] != backend


async def test_a_held_connection_goes_when_its_statement_is_cancelled(database: Database) -> None:
    held = await database.dedicated()
    backend = await held.fetchval("SELECT pg_backend_pid()")
    statement = asyncio.create_task(held.execute("SELECT pg_sleep(30)"))
    await _until_sleeping(database)
    statement.cancel()
    with pytest.raises(asyncio.CancelledError):
        await statement
    assert await held.fetchval("SELECT pg_backend_pid()") != backend


async def test_a_refusal_keeps_the_held_connection(database: Database) -> None:
    held = await database.dedicated()
    backend = await held.fetchval("SELECT pg_backend_pid()")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await held.execute("SELECT 1/0")
    assert await held.fetchval("SELECT pg_backend_pid()") == backend


async def test_an_announcement_is_heard_and_a_lost_connection_is_told(database: Database) -> None:
    heard: asyncio.Queue[str | None] = asyncio.Queue()
    await database.listen("news", heard.put_nowait)
    await database.listen("other", heard.put_nowait)
    await database.notify("news", "one")
    assert await asyncio.wait_for(heard.get(), 5) == "one"
    await database.execute("SELECT pg_terminate_backend($1)", await database.fetchval(LISTENING))
    assert await asyncio.wait_for(heard.get(), 10) is None
    assert await asyncio.wait_for(heard.get(), 10) is None
    await database.notify("other", "two")
    assert await asyncio.wait_for(heard.get(), 5) == "two"


async def test_a_listening_connection_that_hangs_is_found_out(
    hasty: Database, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "PROBE_S", 0.05)
    heard: asyncio.Queue[str | None] = asyncio.Queue()
    await hasty.listen("news", heard.put_nowait)
    backend = await database.fetchval(LISTENING)
    with _stopped(backend):
        assert await asyncio.wait_for(heard.get(), 10) is None
        await database.notify("news", "one")
        assert await asyncio.wait_for(heard.get(), 5) == "one"


async def test_listening_begins_when_the_database_comes(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("late") / "postgres"
    server = await EmbeddedPostgres.start(home)
    await server.stop()
    database = await Database.open(DatabaseSettings(server.url))
    heard: asyncio.Queue[str | None] = asyncio.Queue()
    await _outage_s(database.listen("news", heard.put_nowait))
    server = await EmbeddedPostgres.start(home)
    assert await asyncio.wait_for(heard.get(), 20) is None
    await database.notify("news", "one")
    assert await asyncio.wait_for(heard.get(), 5) == "one"
    await database.close()
    await server.stop()


async def test_a_killed_server_loses_nothing_that_was_committed(own_postgres: EmbeddedPostgres) -> None:
    database = await Database.open(DatabaseSettings(own_postgres.url))
    await database.execute(TABLE)
    acknowledged: set[int] = set()

    async def write(first: int) -> None:
        for number in range(first, first + 50):
            try:
                await database.execute("INSERT INTO thing VALUES ($1)", number)
                acknowledged.add(number)
            except TrunklineError:
                await asyncio.sleep(0.02)

    writers = [asyncio.create_task(write(first * 1000)) for first in range(8)]
    await until(lambda: len(acknowledged) > 40)
    assert own_postgres.pid is not None
    os.kill(own_postgres.pid, signal.SIGKILL)
    await asyncio.gather(*writers)
    await until(lambda: _answers(database))
    kept = {row["id"] for row in await database.fetch("SELECT id FROM thing")}
    assert acknowledged <= kept
    await database.close()
