"""Migrations: each file once, in order, whole, and never an edited one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.fixtures.until import until
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.store import postgres_child
from trunkline_server.store.cluster import Cluster
from trunkline_server.store.migrate import Migration, MigrationError, bundled, migrate, pending

FIRST = Migration("0001_a.sql", "CREATE TABLE a (id int); INSERT INTO a VALUES (1);")
SECOND = Migration("0002_b.sql", "CREATE TABLE b (id int);")


@pytest.fixture
async def older_url(tmp_path: Path) -> AsyncIterator[str]:
    """A PostgreSQL two versions older than the one that comes along."""
    cluster = Cluster(tmp_path / "older")
    cluster.prepare()
    cluster.begin()
    programs = cluster.binaries.parent.parent / "pginstall" / "bin"
    child = [sys.executable, "-I", "-S", postgres_child.__file__, str(os.getpid())]
    child += [str(cluster.owner.uid), str(cluster.owner.gid), "walk" if os.geteuid() == 0 else "-"]
    data = str(cluster.unfinished)
    make = [*child, str(programs / "initdb"), "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8"]
    serve = [*child, str(programs / "postgres"), "-D", data, "-k", str(cluster.sockets), "--listen_addresses="]
    url = cluster.url("postgres", "postgres")
    _run(make)
    with _started(serve) as server:
        try:
            await until(lambda: _answers(url))
            yield url
        finally:
            server.send_signal(signal.SIGINT)


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, cwd="/", env={"LC_ALL": "C.UTF-8"})


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")


async def _answers(url: str) -> bool:
    try:
        return bool(await _value(url, "SELECT true"))
    except (OSError, asyncpg.PostgresError):
        return False


async def _value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_applies_what_is_missing_in_order(empty_url: str) -> None:
    assert await migrate(empty_url, [FIRST]) == ["0001_a.sql"]
    assert await migrate(empty_url, [FIRST, SECOND]) == ["0002_b.sql"]
    assert await migrate(empty_url, [FIRST, SECOND]) == []


async def test_pending_tells_and_changes_nothing(empty_url: str) -> None:
    assert await pending(empty_url, [FIRST, SECOND]) == ["0001_a.sql", "0002_b.sql"]
    await migrate(empty_url, [FIRST])
    assert await pending(empty_url, [FIRST, SECOND]) == ["0002_b.sql"]
    assert await _value(empty_url, "SELECT to_regclass('b')") is None


async def test_four_starters_at_once_apply_each_file_once(empty_url: str) -> None:
    applied = await asyncio.gather(*(migrate(empty_url, [FIRST, SECOND]) for _ in range(4)))
    assert sorted(name for names in applied for name in names) == ["0001_a.sql", "0002_b.sql"]
    assert await _value(empty_url, "SELECT count(*) FROM a") == 1


async def test_an_edited_file_is_refused(empty_url: str) -> None:
    await migrate(empty_url, [FIRST])
    with pytest.raises(MigrationError, match=r"'0001_a\.sql' was changed"):
        await migrate(empty_url, [Migration(FIRST.name, FIRST.sql + " ")])


async def test_a_newer_database_is_refused(empty_url: str) -> None:
    await migrate(empty_url, [FIRST, SECOND])
    with pytest.raises(MigrationError, match=r"newer than this program: it has '0002_b\.sql'"):
        await migrate(empty_url, [FIRST])


async def test_a_file_that_fails_leaves_nothing_and_is_named(empty_url: str) -> None:
    broken = Migration("0002_b.sql", "CREATE TABLE b (id int); SELECT 1/0;")
    with pytest.raises(asyncpg.DivisionByZeroError) as caught:
        await migrate(empty_url, [FIRST, broken])
    assert caught.value.__notes__ == ["in migration '0002_b.sql'"]
    assert await pending(empty_url, [FIRST, broken]) == ["0002_b.sql"]
    assert await _value(empty_url, "SELECT to_regclass('b')") is None


async def test_no_database_is_told_as_such() -> None:
    with pytest.raises(TrunklineError) as caught:
        await migrate("postgresql://nobody@/nothing?host=/nonexistent")
    assert caught.value.reason is Reason.STORE_UNAVAILABLE


async def test_the_files_of_this_program_apply(empty_url: str) -> None:
    names = [migration.name for migration in bundled()]
    assert names == sorted(names)
    assert await migrate(empty_url) == names


async def test_the_files_of_this_program_apply_to_an_older_postgres(older_url: str) -> None:
    assert str(await _value(older_url, "SHOW server_version")).startswith("16")
    assert await migrate(older_url) == [migration.name for migration in bundled()]
