"""Streams that their callers may leave and come back to: read on in a task of their own, heard from a recording.

read on and heard ──(nobody listens any more)──▶ read on for the grace ──(nobody came back)──▶ cancelled, settled
       ▲                                             │
       └──────────────────(ResumeStream)─────────────┘        ended ──▶ kept for a while ──▶ forgotten
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias
from uuid import UUID

from trunkline.v1 import chat_pb2
from trunkline_server.core import ids, resume_token
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.gateway.gateway import COMPLETION_TRAILER
from trunkline_server.gateway.streams.recording import Recording
from trunkline_server.gateway.streams.tapes import Name, Tapes
from trunkline_server.store.redis import SharedMemory

UNHEARD_MAX: Final = 64
"""So many streams are read on with nobody listening; the next one that is left is cancelled at once."""

COPY_S: Final = 2.0
"""How long the copies of what has ended may take when the house is closed."""

Run: TypeAlias = Callable[[Call], AsyncGenerator[Any, None]]


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """`grace_s`: how long a stream is read on while nobody listens; `keep_s`: how long it is kept after its end.
    `bytes_max` is kept of each, `memory_bytes_max` of all that have ended."""

    grace_s: float = 60.0
    keep_s: float = 300.0
    bytes_max: int = 1024 * 1024
    memory_bytes_max: int = 64 * 1024 * 1024
    heartbeat_s: float = 15.0


@dataclass(slots=True, eq=False)
class _Reading:
    """A stream that is read, or was."""

    call: Call
    recording: Recording
    task: asyncio.Task[None] | None = None
    name: Name | None = None
    leaving: asyncio.Task[None] | None = None
    beat: asyncio.TimerHandle | None = None
    end: asyncio.TimerHandle | None = None
    """When it is forgotten; a timer holds all of it, and so goes with it."""
    waits: bool = False
    """For one who listens; its provider has more to say."""


class Streams:
    """Of this process; with Redis those of all replicas can be heard."""

    def __init__(self, settings: StreamSettings, shared: SharedMemory | None = None) -> None:
        self._settings = settings
        self._tapes = Tapes(shared, settings.keep_s) if shared is not None else None
        self._readings: dict[Name, _Reading] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._copying: set[asyncio.Task[None]] = set()
        self._kept_bytes = 0

    async def recorded(self, call: Call, run: Run) -> AsyncGenerator[chat_pb2.StreamResponse, None]:
        """What `run` says, which from its first event on outlives its caller."""
        own = replace(call, deadline=call.deadline + self._settings.grace_s)
        reading = _Reading(own, Recording(self._settings.bytes_max))
        reading.task = self._kept(asyncio.create_task(self._read(reading, run), name="gateway.stream"), self._running)
        async with aclosing(self._heard(reading, 0)) as events:
            async for event in events:
                yield chat_pb2.StreamResponse(event=event)

    async def resumed(
        self, call: Call, completion_id: UUID, heard: int
    ) -> AsyncGenerator[chat_pb2.ChatEvent, None] | None:
        """What was said behind that event, and what is still said; None where there is no such stream of the user's.
        Raises STORE_UNAVAILABLE."""
        name = Name(call.caller.tenant_id, call.user_id, completion_id)
        call.trailers[COMPLETION_TRAILER] = ids.spell("cmpl", completion_id)
        if reading := self._readings.get(name):
            return self._again(call, reading, heard)
        if self._tapes is not None and await self._tapes.has(name):
            return self._tapes.listen(name, heard, call.trailers)
        return None

    async def ended(self) -> None:
        """Ends what is still read; for after the door is shut."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._copying:
            await asyncio.wait(self._copying, timeout=COPY_S)
        for task in self._copying:
            task.cancel()

    # reading

    async def _read(self, reading: _Reading, run: Run) -> None:
        """To its end, whoever listens."""
        self._beat_later(reading)
        error: BaseException | None = None
        try:
            async with asyncio.timeout_at(reading.call.deadline):
                await self._take(reading, run)
        except asyncio.CancelledError:
            error = TrunklineError(Reason.CANCELLED, "nobody listened to the stream any more")
        except TimeoutError:
            error = TrunklineError(Reason.DEADLINE, "the call's time is over", metadata={"stage": "call"})
        except TrunklineError as told:
            error = replace(told)  # without the frames and causes that hang on it
        except Exception as fault:  # noqa: BLE001 - whoever listens is told
            error = fault
        self._end(reading, error)

    async def _take(self, reading: _Reading, run: Run) -> None:
        async with aclosing(run(reading.call)) as messages:
            async for message in messages:
                reading.waits = True
                if reading.name is None:
                    await self._begin(reading, message.event)
                _mark(reading, message.event)
                await reading.recording.append(message.event)
                reading.waits = False

    async def _begin(self, reading: _Reading, event: chat_pb2.ChatEvent) -> None:
        """From its first event on the stream has a name, and whoever has heard that finds it everywhere."""
        completion_id = ids.parse("cmpl", event.started.completion_id)
        if completion_id is None:
            return
        call = reading.call
        reading.name = name = Name(call.caller.tenant_id, call.user_id, completion_id)
        if name not in self._readings:  # else a repeated call, whose first is kept
            self._readings[name] = reading
        if self._tapes is not None:
            _mark(reading, event)
            await self._tapes.begin(name, event)
            self._kept(asyncio.create_task(self._tapes.copy(name, reading.recording, call.trailers)), self._copying)

    def _end(self, reading: _Reading, error: BaseException | None) -> None:
        if reading.beat is not None:
            reading.beat.cancel()
        if reading.leaving is not None:
            reading.leaving.cancel()
            reading.leaving = None
        reading.call.on_silence = reading.call.on_sent_beside = None  # they hold all of the answer
        reading.recording.end(error)
        if reading.name is not None and self._readings.get(reading.name) is reading:
            self._kept_bytes += reading.recording.size_bytes
            reading.end = asyncio.get_running_loop().call_later(self._settings.keep_s, self._forget, reading)
            self._make_room()

    def _make_room(self) -> None:
        """What ended first goes first."""
        over = (each for each in tuple(self._readings.values()) if each.recording.ended)
        while self._kept_bytes > self._settings.memory_bytes_max and (oldest := next(over, None)):
            self._forget(oldest)

    def _forget(self, reading: _Reading) -> None:
        if reading.name is not None and self._readings.get(reading.name) is reading:
            del self._readings[reading.name]
            self._kept_bytes -= reading.recording.size_bytes
        if reading.end is not None:
            reading.end.cancel()

    # listening

    async def _again(self, call: Call, reading: _Reading, heard: int) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        async with aclosing(self._heard(reading, heard)) as events:
            async for event in events:
                if event.HasField("completed"):
                    call.trailers.update(reading.call.trailers)
                yield event

    async def _heard(self, reading: _Reading, heard: int) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        if reading.leaving is not None:
            reading.leaving.cancel()
            reading.leaving = None
        try:
            async with aclosing(reading.recording.listen(heard)) as events:
                async for event in events:
                    yield event
        finally:
            if not (reading.recording.ended or reading.recording.is_heard):
                self._left(reading)

    def _left(self, reading: _Reading) -> None:
        """Nobody listens here. A stream that has not begun cannot be come back to."""
        unheard = sum(each.leaving is not None for each in self._readings.values())
        if reading.task is None or reading.name is None or unheard >= UNHEARD_MAX:
            if reading.task is not None:
                reading.task.cancel()
            return
        reading.leaving = self._kept(asyncio.create_task(self._wait(reading.task, reading.name)), self._running)

    async def _wait(self, task: asyncio.Task[None], name: Name) -> None:
        """For somebody to come back, here or on another replica."""
        while True:
            await asyncio.sleep(self._settings.grace_s)
            if self._tapes is None or not await self._tapes.is_heard(name):
                break
        task.cancel()

    # keeping alive

    def _beat_later(self, reading: _Reading) -> None:
        wait_s, last = self._settings.heartbeat_s, reading.recording.last
        reading.beat = asyncio.get_running_loop().call_later(wait_s, self._beat, reading, last)

    def _beat(self, reading: _Reading, last: int) -> None:
        """Where nothing was said since the last one."""
        call = reading.call
        silent = reading.recording.last == last and not (reading.waits or call.is_billed)
        message: Any = call.on_silence() if silent and call.on_silence is not None else None
        if message is not None:
            _mark(reading, message.event)
            reading.recording.put(message.event)
            if call.on_sent_beside is not None:
                call.on_sent_beside(message)
        self._beat_later(reading)

    def _kept(self, task: asyncio.Task[None], tasks: set[asyncio.Task[None]]) -> asyncio.Task[None]:
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task


def _mark(reading: _Reading, event: chat_pb2.ChatEvent) -> None:
    if reading.name is not None:
        event.resume_token = resume_token.spell(reading.name.completion_id, event.sequence)
