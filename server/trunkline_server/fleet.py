"""Several gateways on one machine, at the same addresses: the kernel deals connections out among them. Their supervisor
keeps the database, starts again what crashed, and takes them all down together.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import uvloop

from trunkline_server.app import SERVING
from trunkline_server.config import PREFIX, Settings
from trunkline_server.house import logs
from trunkline_server.house.start import StartError
from trunkline_server.store.embedded import EmbeddedPostgres, EmbeddedPostgresError

STEADY_S: Final = 10.0
"""Who lived so long did not crash because of how it was started."""
PAUSE_S_MIN, PAUSE_S_MAX = 0.05, 5.0

_log = logging.getLogger(__name__)


def run(settings: Settings, processes: int, options: Sequence[str] = ()) -> int:
    """Serve with so many processes until a signal; the exit code. Each is started as `serve` with these options."""
    logs.begin(settings.log_level)
    try:
        return uvloop.run(_supervise(settings, processes, options))
    except (StartError, EmbeddedPostgresError, OSError) as error:
        sys.stderr.write(f"trunkline: {error}\n")
        return 1


async def _supervise(settings: Settings, processes: int, options: Sequence[str]) -> int:
    with ExitStack() as stack:
        environment = dict(os.environ)
        for name, address in (("GRPC", settings.grpc.address), ("HTTP", settings.http.address)):
            environment[f"{PREFIX}{name}__ADDRESS"] = stack.enter_context(_reserved(address))
        places = _fresh(settings.data_path / "figures")
        if settings.database_url:
            return await Fleet(environment, options, places).live(processes)
        database = await EmbeddedPostgres.start(settings.data_path / "postgres")
        try:
            environment[f"{PREFIX}DATABASE_URL"] = database.url
            return await Fleet(environment, options, places).live(processes)
        finally:
            await database.stop()


class Fleet:
    """So many processes, each started again when it ends before it was asked to."""

    def __init__(self, environment: dict[str, str], options: Sequence[str], places: Path) -> None:
        self._environment = environment
        self._command = [sys.executable, "-m", "trunkline_server", "serve", *options]
        self._places = places
        self._crew: set[Process] = set()
        self._leaving = asyncio.Event()

    async def live(self, processes: int) -> int:
        """Until a signal, or until one does not even start; the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._leave, number)
        codes = await asyncio.gather(*map(self._keep, range(processes)))
        return max(codes)

    def _leave(self, number: signal.Signals) -> None:
        """A second signal reaches them as well: it hurries them."""
        self._leaving.set()
        for process in self._crew:
            with suppress(ProcessLookupError):
                process.send_signal(number)

    async def _keep(self, number: int) -> int:
        """The exit code: that of the process which was asked to end, or did not come to serve."""
        failures = 0
        while True:
            begun = time.monotonic()
            code, served = await self._life(number)
            if self._leaving.is_set():
                return 0 if code == -signal.SIGTERM else abs(code)  # one that had hardly begun
            if not served and not failures:
                self._leave(signal.SIGTERM)
                return abs(code) or 1
            failures = 0 if time.monotonic() - begun > STEADY_S else failures + 1
            _log.warning("a gateway of several ended with code %d and is started again", code)
            await self._pause(min(PAUSE_S_MIN * 2**failures, PAUSE_S_MAX))

    async def _life(self, number: int) -> tuple[int, bool]:
        """One process from its start to its end: its exit code, and whether it came to serve."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 - that is its name
        with ours:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    f"--supervisor={theirs.fileno()}",
                    f"--place={self._places / str(number)}",
                    pass_fds=(theirs.fileno(),),
                    env=self._environment,
                )
            self._crew.add(process)
            if self._leaving.is_set():  # the signal came while it was made
                process.send_signal(signal.SIGTERM)
            served = await asyncio.get_running_loop().sock_recv(ours, 1) == SERVING
            code = await process.wait()
            self._crew.discard(process)
            return code, served

    async def _pause(self, pause_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._leaving.wait()


def _fresh(places: Path) -> Path:
    """Where they tell each other their figures; nothing is left of an earlier start. Raises OSError."""
    places.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in places.iterdir():
        file.unlink()
    return places


@contextmanager
def _reserved(address: str) -> Iterator[str]:
    """The address with its port settled, and kept from strangers while nobody listens there. Raises OSError."""
    host, _, port = address.rpartition(":")
    family, _, _, _, place = socket.getaddrinfo(
        host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, socket.SOCK_STREAM) as reserving:
        reserving.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            reserving.bind(place)
        except OSError as error:
            raise OSError(f"{address} cannot be bound; is another gateway running?") from error
        yield f"{host}:{reserving.getsockname()[1]}"
