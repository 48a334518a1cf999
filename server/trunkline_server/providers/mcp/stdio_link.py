"""An MCP server that is a program of the operator's: one task owns it, from its start to its end.

no program ──(somebody asks)──▶ started ──(handshake)──▶ serves ──(it ends, or breaks)──▶ no program
"""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from trunkline_server.core.errors import TrunklineError
from trunkline_server.providers.mcp.link import READ_BYTES_MAX, broken, failed
from trunkline_server.wire import mcp

START_S: Final = 20.0
END_S: Final = 2.0


class StdioLink:
    """`command` comes from the settings, and from nowhere else; so does all that the program sees of an environment."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = tuple(command)
        self._environment = dict(environment)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._ids = 0
        self._starting = asyncio.Lock()
        self._owner: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self.session = 0

    async def ask(self, method: str, params: Mapping[str, Any]) -> bytes:
        async with self._starting:
            if self._process is None:
                await self._start()
        return await self._asked(method, params)

    async def close(self) -> None:
        if self._owner is not None:
            self._owner.cancel()
            await asyncio.wait((self._owner,))

    async def _start(self) -> None:
        """Starts it and shakes hands, once the one before is gone."""
        if self._owner is not None:
            await asyncio.wait((self._owner,))
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=self._environment, limit=READ_BYTES_MAX
            )
        except OSError:
            raise failed("the MCP server's program does not start") from None
        self._owner = asyncio.create_task(self._own(self._process), name="mcp")
        try:
            async with asyncio.timeout(START_S):
                mcp.read_version(await self._asked("initialize", mcp.greeting()))
            self._say(mcp.notification("notifications/initialized"))
        except (mcp.McpBroken, TimeoutError):
            await self.close()
            raise broken() from None
        except BaseException:
            await self.close()
            raise
        self.session += 1

    async def _asked(self, method: str, params: Mapping[str, Any]) -> bytes:
        self._ids += 1
        own = self._ids
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[own] = answer
        try:
            self._say(mcp.request(own, method, params))
            return await answer
        finally:
            del self._waiting[own]

    def _say(self, message: bytes) -> None:
        stdin = self._process.stdin if self._process else None
        if stdin is None or stdin.is_closing():
            raise failed("the MCP server's program has ended")
        stdin.write(message + b"\n")

    async def _own(self, process: Process) -> None:
        """Hears what it says until it ends, then sees to its end."""
        error = failed("the MCP server's program has ended")
        try:
            await self._hear(process)
        except (ValueError, mcp.McpBroken):  # a line that is too long, or no message
            error = broken()
        finally:
            self._process = None
            for answer in self._waiting.values():
                _fail(answer, error)
            await _ended(process)

    async def _hear(self, process: Process) -> None:
        if process.stdout is None:
            return
        while line := await process.stdout.readline():
            if not line.strip():
                continue
            match mcp.read(line):
                case mcp.Answer(id, result) if id in self._waiting:
                    self._tell(self._waiting[id], result)
                case mcp.Asked(reply):
                    self._say(reply)
                case mcp.Changed():
                    self.session += 1
                case _:
                    pass

    def _tell(self, answer: asyncio.Future[bytes], result: bytes | None) -> None:
        if result is None:
            _fail(answer, failed("the MCP server refused the request"))
        elif not answer.done():
            answer.set_result(result)


def _fail(answer: asyncio.Future[bytes], error: TrunklineError) -> None:
    if not answer.done():
        answer.set_exception(error)


async def _ended(process: Process) -> None:
    """It may go by itself, but not take long."""
    if process.stdin is not None:
        process.stdin.close()
    with suppress(TimeoutError, ProcessLookupError):
        async with asyncio.timeout(END_S):
            await process.wait()
            return
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
