"""Writing a stream to a caller: keeps a silent line alive, and lets go of a caller who has stopped reading.

One timer for the whole stream, which looks only every few seconds; a message costs two stores.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Self

from google.protobuf.message import Message

from trunkline_server.core.call import Call

STUCK_AFTER_S: Final = 30.0


class Pulse:
    """Used as a context manager around the loop that writes; `send` waits while the caller's window is full."""

    def __init__(self, send: Callable[[Message], Awaitable[object]], call: Call, heartbeat_s: float) -> None:
        self._say = send
        self._call = call
        self._heartbeat_s = heartbeat_s
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._since = self._loop.time()
        self._writing = False
        self._beat: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(heartbeat_s, self._tick)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    async def write(self, message: Message) -> None:
        """Send one message; waits while the caller's window is full."""
        if self._beat is not None:
            await self._beat
            self._beat = None
        await self._send(message)

    async def _send(self, message: Message) -> None:
        self._since = self._loop.time()
        self._writing = True
        await self._say(message)
        self._writing = False
        self._since = self._loop.time()

    def _send_beside(self, message: Message) -> None:
        if self._call.on_sent_beside is not None:
            self._call.on_sent_beside(message)
        self._beat = self._loop.create_task(self._send(message))

    def _tick(self) -> None:
        silent_s = self._loop.time() - self._since
        if self._writing and silent_s >= STUCK_AFTER_S and self._task is not None:
            self._task.cancel()
            return
        due = not self._writing and silent_s >= self._heartbeat_s
        message = self._call.on_silence() if due and self._call.on_silence is not None else None
        if message is not None:
            self._send_beside(message)
        wait_s = self._heartbeat_s if due or self._writing else self._heartbeat_s - silent_s
        self._timer = self._loop.call_later(max(wait_s, 0.01), self._tick)
