"""The PostgreSQL that Trunkline brings along: its parent starts it again when it dies, and takes it down with itself.

The parent is the process that holds the lock beside the data. Everybody else uses the server, and one of them takes
over when the parent goes.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from contextlib import suppress
from pathlib import Path
from typing import Self

import asyncpg

from trunkline_server.store import queries
from trunkline_server.store.binaries import EmbeddedPostgresError
from trunkline_server.store.cluster import Cluster

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]

LOCK_POLL_S = 0.25
READY_POLL_S = 0.02
RESTART_PAUSE_MIN_S = 0.05
RESTART_PAUSE_MAX_S = 1.0
START_FAILURES_MAX = 10
STEADY_S = 5.0
STOP_LIMIT_S = 10.0

_log = logging.getLogger(__name__)
_SQL = queries.load(__file__)
_NOT_YET = (OSError, asyncpg.PostgresError, asyncpg.InternalClientError)
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}  # none of ours: it holds keys


class EmbeddedPostgres:
    """A server that answers at `url` (a role without special rights) from `start` to `stop`."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.url = cluster.url()
        self._process: Process | None = None
        self._lock_fd = -1
        self._answered = False
        self._keeper: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, data_dir: Path) -> Self:
        """Returns when the server answers; `data_dir` is made on the first start. Raises EmbeddedPostgresError."""
        server = cls(Cluster(data_dir))
        try:
            await server._open()
        except BaseException:
            await server.stop()
            raise
        return server

    @property
    def pid(self) -> int | None:
        """The server's process, where it is our child."""
        return None if self._process is None else self._process.pid

    async def stop(self) -> None:
        """Ends the server, if it is our child, and waits for its end."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._process is not None:
            await _end(self._process)
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    async def _open(self) -> None:
        self.cluster.prepare()
        self._lock_fd = os.open(self.cluster.lock, os.O_RDWR | os.O_CREAT, 0o600)
        self._keeper = asyncio.create_task(self._keep(), name="store.embedded")
        answering = asyncio.create_task(self._until_answering(), name="store.embedded.answering")
        try:
            first, _ = await asyncio.wait({self._keeper, answering}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
        for task in first:
            task.result()
        self._answered = True

    async def _until_answering(self) -> None:
        while True:
            with suppress(*_NOT_YET):
                if not await _asked(self.url, _SQL.confined):
                    await _asked(self.cluster.url("postgres"), _SQL.confine)
                return
            await asyncio.sleep(READY_POLL_S)

    async def _keep(self) -> None:
        await self._become_parent()
        if not self.cluster.data.exists():
            await self._create()
        self.cluster.check()
        failures = 0
        while failures < START_FAILURES_MAX or self._answered:
            started = time.monotonic()
            with suppress(OSError):  # no more processes, memory or files: it may pass
                await self._serve()
            failures = 0 if time.monotonic() - started > STEADY_S else failures + 1
            _log.warning("the embedded database ended and is started again")
            await asyncio.sleep(min(RESTART_PAUSE_MIN_S * 2 ** min(failures, 10), RESTART_PAUSE_MAX_S))
        raise EmbeddedPostgresError(f"the embedded database does not start; {self.cluster.log} says why")

    async def _become_parent(self) -> None:
        while True:
            try:
                return fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(LOCK_POLL_S)

    async def _create(self) -> None:
        self.cluster.begin()
        await _run(self.cluster.initialise())
        await _run(self.cluster.bootstrap(), f"{_SQL.extension}\n{_SQL.role}\n{_SQL.database}\n")
        self.cluster.finish()

    async def _serve(self) -> None:
        with self.cluster.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.cluster.serve(), stdin=DEVNULL, stdout=log, stderr=STDOUT, env=_ENVIRONMENT, cwd="/"
            )
        await self._process.wait()


async def _asked(url: str, query: str) -> object:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def _run(command: list[str], sql: str = "") -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=STDOUT, env=_ENVIRONMENT, cwd="/"
    )
    try:
        output, _ = await process.communicate(sql.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0 or b"ERROR:" in output:  # in single-user mode a failed statement is no failed program
        reason = output.decode(errors="replace").strip().rpartition("\n")[2]
        raise EmbeddedPostgresError(f"the embedded database cannot be made: {reason}")


async def _end(process: Process) -> None:
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, at once, by force
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(how)
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_LIMIT_S):
                    await process.wait()
