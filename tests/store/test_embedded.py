"""The PostgreSQL that comes along: it starts anywhere, heals, is shared, and never outlives its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.fixtures.until import until
from trunkline_server.store import embedded, postgres_child
from trunkline_server.store.embedded import EmbeddedPostgres, EmbeddedPostgresError

PROGRAM = """
import asyncio, sys
from pathlib import Path
from trunkline_server.store.embedded import EmbeddedPostgres

async def main():
    server = await EmbeddedPostgres.start(Path(sys.argv[1]))
    print(server.pid, server.url, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop()

asyncio.run(main())
"""


async def _ask(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def _answers(url: str) -> bool:
    with suppress(OSError, asyncpg.PostgresError):
        return bool(await _ask(url, "SELECT true"))
    return False


def _uid_of(pid: int | None) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def _environment_of(pid: int | None) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def _sleeper(uid: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"], user=uid if os.geteuid() == 0 else None)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _parent(home: Path, *before: str) -> subprocess.Popen[str]:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    command = [*before, sys.executable, "-c", PROGRAM, str(home)]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd="/")


def _said(parent: subprocess.Popen[str]) -> tuple[int, str]:
    assert parent.stdout is not None
    pid, url = parent.stdout.readline().split()
    return int(pid), url


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    started = await EmbeddedPostgres.start(tmp_path / "postgres")
    yield started
    await started.stop()


async def test_it_serves_a_role_without_special_rights(server: EmbeddedPostgres) -> None:
    assert await _ask(server.url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    assert await _ask(server.url, "SELECT '[1,2]'::vector::text") == "[1,2]"


async def test_it_is_safe_and_private(server: EmbeddedPostgres) -> None:
    assert await _ask(server.url, "SHOW fsync") == "on"
    assert await _ask(server.url, "SHOW synchronous_commit") == "on"
    assert await _ask(server.url, "SHOW listen_addresses") == ""
    assert server.cluster.sockets.stat().st_mode & 0o077 == 0
    assert server.cluster.data.stat().st_mode & 0o077 == 0
    assert _uid_of(server.pid) != 0


async def test_it_gets_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    server = await EmbeddedPostgres.start(tmp_path / "postgres")
    assert b"canary" not in _environment_of(server.pid)
    await server.stop()


async def test_what_was_written_is_there_after_a_restart(server: EmbeddedPostgres) -> None:
    await _ask(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    await server.stop()
    again = await EmbeddedPostgres.start(server.cluster.home)
    assert await _ask(again.url, "SELECT answer FROM kept") == 42
    await again.stop()


async def test_a_killed_server_comes_back_with_its_data(server: EmbeddedPostgres) -> None:
    await _ask(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    first = server.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: server.pid != first)
    await until(lambda: _answers(server.url))
    assert await _ask(server.url, "SELECT answer FROM kept") == 42


async def test_a_restart_that_fails_for_a_while_is_tried_again(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, spawn, refusals = server.pid, asyncio.create_subprocess_exec, iter([OSError(24, "too many open files")] * 2)

    async def refuse_twice(*command: Any, **options: Any) -> Process:
        for refusal in refusals:
            raise refusal
        return await spawn(*command, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse_twice)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: server.pid != first)
    await until(lambda: _answers(server.url))


async def test_a_killed_parent_takes_the_server_down(tmp_path: Path) -> None:
    parent = _parent(tmp_path / "postgres")
    pid, _ = _said(parent)
    parent.kill()
    parent.communicate()
    await until(lambda: not _runs(pid))


async def test_the_next_parent_may_come_at_once(tmp_path: Path) -> None:
    parent = _parent(tmp_path / "postgres")
    _, url = _said(parent)
    await _ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    parent.kill()
    server = await EmbeddedPostgres.start(tmp_path / "postgres")
    parent.communicate()
    await until(lambda: _answers(server.url))
    assert await _ask(server.url, "SELECT answer FROM kept") == 42
    await server.stop()


async def test_stopping_waits_for_the_end(tmp_path: Path) -> None:
    server = await EmbeddedPostgres.start(tmp_path / "postgres")
    pid = server.pid
    assert pid is not None
    await server.stop()
    assert not _runs(pid)


async def test_a_second_process_uses_the_running_one_and_inherits_it(tmp_path: Path) -> None:
    first, second = await asyncio.gather(*(EmbeddedPostgres.start(tmp_path / "postgres") for _ in range(2)))
    if first.pid is None:
        first, second = second, first
    assert second.pid is None
    await _ask(second.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    await first.stop()
    await until(lambda: second.pid is not None)
    await until(lambda: _answers(second.url))
    assert await _ask(second.url, "SELECT answer FROM kept") == 42
    await second.stop()


async def test_a_start_that_was_interrupted_is_begun_anew(tmp_path: Path) -> None:
    rest = tmp_path / "postgres" / "data.new"
    rest.mkdir(parents=True)
    (rest / "PG_VERSION").write_text("18")
    server = await EmbeddedPostgres.start(tmp_path / "postgres")
    assert await _ask(server.url, "SELECT 1") == 1
    await server.stop()


async def test_a_path_too_long_or_odd_for_a_socket_still_works(tmp_path: Path) -> None:
    server = await EmbeddedPostgres.start(tmp_path / ("a, b'" + "é" * 60) / "postgres")
    try:
        assert await _ask(server.url, "SELECT 1") == 1
    finally:
        await server.stop()
        server.cluster.sockets.rmdir()


async def test_a_noted_pid_that_another_program_has_by_now_does_not_matter(tmp_path: Path) -> None:
    server = await EmbeddedPostgres.start(tmp_path / "postgres")
    note = (server.cluster.data / "postmaster.pid").read_text()
    await server.stop()
    other = _sleeper(server.cluster.owner.uid)
    (server.cluster.data / "postmaster.pid").write_text(note.replace(note.split()[0], str(other.pid), 1))
    try:
        server = await EmbeddedPostgres.start(tmp_path / "postgres")
        assert await _ask(server.url, "SELECT 1") == 1
        await server.stop()
    finally:
        other.kill()
        other.wait()


async def test_another_postgres_s_data_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedPostgresError, match="is of PostgreSQL 15"):
        await EmbeddedPostgres.start(tmp_path / "postgres")


async def test_a_server_that_cannot_start_is_told_with_its_log(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.stop()
    (server.cluster.data / "postgresql.conf").write_text("no_such_setting = 1\n")
    monkeypatch.setattr(embedded, "RESTART_PAUSE_MAX_S", 0.001)
    with pytest.raises(EmbeddedPostgresError, match=r"does not start; .*postgres\.log says why"):
        await EmbeddedPostgres.start(server.cluster.home)
    assert "no_such_setting" in server.cluster.log.read_text()


async def test_a_socket_directory_open_to_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "run").mkdir(parents=True)
    (tmp_path / "postgres" / "run").chmod(0o755)
    with pytest.raises(EmbeddedPostgresError, match="nobody else may enter"):
        await EmbeddedPostgres.start(tmp_path / "postgres")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_it_runs_for_an_ordinary_user_too(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    child = [sys.executable, "-I", "-S", postgres_child.__file__, str(os.getpid()), "65534", "65534", "walk"]
    parent = _parent(home / "postgres", *child)
    pid, url = _said(parent)
    assert _uid_of(pid) == 65534
    assert await _ask(url, "SELECT 1") == 1
    parent.communicate("")
    assert parent.returncode == 0
    assert not _runs(pid)
