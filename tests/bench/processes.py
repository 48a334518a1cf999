"""Processes of the bench: started, put on a core, given orders, and gone at the end, whatever happens. Linux only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

ANSWER_S: Final = 45.0
STOP_S: Final = 10.0


@dataclass(frozen=True)
class Cores:
    """Where the measured server runs alone, and where everything else does; the same where there is but one core."""

    server: frozenset[int]
    rest: frozenset[int]

    @classmethod
    def here(cls) -> Cores:
        *rest, server = sorted(os.sched_getaffinity(0))
        return cls(frozenset((server,)), frozenset(rest or (server,)))


class Child:
    """A running process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    @property
    def gone(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.returncode is not None

    async def hear(self) -> Any:
        """The next line that it says."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), ANSWER_S)
        if not line:
            raise RuntimeError("a process of the bench ended early; what it said stands above")
        return msgspec.json.decode(line)

    async def order(self, **order: object) -> Any:
        """Tell it to do something, and wait for what came of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        return await self.hear()

    async def stop(self) -> None:
        """Ask it to go, by the end of its stdin and by a signal; make it go when it does not."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def started(
    *command: str, cores: frozenset[int], environment: Mapping[str, str] | None = None, log: Path | None = None
) -> AsyncIterator[Child]:
    """A process until the end of the block. With a `log` its output goes there, and it takes no orders."""
    with contextlib.ExitStack() as files:
        output = files.enter_context(log.open("ab")) if log else asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            stderr=output if log else None,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C is for us; they go when we let them go
        )
    child = Child(process)
    pin(child.pid, cores)
    try:
        yield child
    finally:
        await asyncio.shield(child.stop())


@asynccontextmanager
async def part(name: str, *arguments: str, cores: frozenset[int]) -> AsyncIterator[tuple[Child, Any]]:
    """One of our own programs and the first line that it says."""
    async with started(sys.executable, "-m", f"tests.bench.{name}", *arguments, cores=cores) as child:
        yield child, await child.hear()


def pin(pid: int, cores: frozenset[int]) -> None:
    """Every thread of a process."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), cores)


def cpu_s(pid: int) -> float:
    """Processor time that a process has used so far, user and system, all threads."""
    return time.clock_gettime((~pid << 3) | 2)  # the clock that clock_getcpuclockid(3) names


def cpu_of(pids: list[int]) -> dict[int, float]:
    """CPU seconds of those that are still there: PostgreSQL's workers come and go."""
    found = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            found[pid] = cpu_s(pid)
    return found


def below(pid: int) -> list[int]:
    """The children of a process, and theirs."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (thread / "children").read_text().split()):
            found += [child, *below(child)]
    return found


def resident_mib(pid: int) -> float:
    """Memory that a process has in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
