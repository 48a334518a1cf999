"""Copies of recordings in Redis, so that a stream can be heard from every replica.

A copy is a sorted set of events by number, and behind them how the stream ended. It lives as long as whoever writes it,
and a while beyond the end: where it is gone too early, the writer is.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, cast
from uuid import UUID

import msgspec

from trunkline.v1 import chat_pb2, errors_pb2
from trunkline_server.core.errors import Reason, TrunklineError, store_unavailable
from trunkline_server.gateway.streams.recording import Recording, require_kept
from trunkline_server.store.redis import RedisAwayError, SharedMemory

COALESCE_S: Final = 0.05
"""What is said meanwhile is written and read together."""
RENEW_S: Final = 5.0
ALIVE_S: Final = 20
"""How long who writes, and who listens, counts as there after a sign of it."""
AGAIN_S: Final = 1.0
ENDINGS_MAX: Final = 30
"""How often the end of a stream is tried to be written."""
READ_MAX: Final = 256
_EVENT, _END = b"\0", b"\1"


@dataclass(frozen=True, slots=True)
class Name:
    """A stream and whose it is: nobody else finds it."""

    tenant_id: UUID
    user_id: str
    completion_id: UUID

    @property
    def key(self) -> str:
        user = hashlib.sha256(self.user_id.encode()).hexdigest()[:32]
        return f"trunkline:stream:{self.tenant_id.hex}:{self.completion_id.hex}:{user}"


class Ending(msgspec.Struct, frozen=True):
    """How a stream ended: with its last event, or with an error."""

    reason: str = ""
    message: str = ""
    retry_after_s: float | None = None
    partial: bytes = b""
    trailers: Mapping[str, str] = {}

    @classmethod
    def of(cls, error: BaseException | None, trailers: Mapping[str, str]) -> Ending:
        if error is None:
            return cls(trailers=trailers)
        if not isinstance(error, TrunklineError):
            return cls(Reason.INTERNAL.value, "the stream ended with a fault", trailers=trailers)
        partial = error.partial.SerializeToString() if error.partial else b""
        return cls(error.reason.value, error.message, error.retry_after_s, partial, trailers)

    def check(self) -> None:
        """Raises the error."""
        if self.reason:
            partial = errors_pb2.PartialResult.FromString(self.partial) if self.partial else None
            raise TrunklineError(Reason(self.reason), self.message, retry_after_s=self.retry_after_s, partial=partial)


class Tapes:
    """`keep_s` is how long a copy outlives its stream."""

    def __init__(self, shared: SharedMemory, keep_s: float) -> None:
        self._shared = shared
        self._keep_s = keep_s

    async def begin(self, name: Name, event: chat_pb2.ChatEvent) -> None:
        """Its first event; where Redis is away, with the others."""
        with suppress(RedisAwayError):
            await self._write(name, [event], event.sequence, None)

    async def copy(self, name: Name, recording: Recording, trailers: Mapping[str, str]) -> None:
        """As long as there is something to copy; what Redis does not take now it gets later."""
        copied, endings = 0, 0
        while not (recording.ended and endings >= ENDINGS_MAX):
            events, first, ended = recording.since(copied), recording.first, recording.ended
            ending = Ending.of(recording.error, trailers) if ended else None
            try:
                await self._write(name, events, first, ending)
            except RedisAwayError:
                endings += ended
                await asyncio.sleep(AGAIN_S)
                continue
            if ended:
                return
            copied = events[-1].sequence if events else copied
            await self._rest(recording, copied)

    async def listen(
        self, name: Name, heard: int, trailers: dict[str, str]
    ) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        """All behind that event, to the end. Raises RESUME_EXPIRED, STREAM_INTERRUPTED, and what it ended with."""
        while True:
            told, alive = await self._read(name, heard)
            for data in told:
                if data[:1] == _END:
                    ending = msgspec.json.decode(data[1:], type=Ending)
                    trailers.update(ending.trailers)
                    ending.check()
                    return
                event = chat_pb2.ChatEvent.FromString(data[1:])
                require_kept(heard, event.sequence)
                heard = event.sequence
                yield event
            if not alive:
                raise TrunklineError(
                    Reason.STREAM_INTERRUPTED, "the replica that heard this stream is gone", retry_after_s=1.0
                )
            if not told:
                await asyncio.sleep(COALESCE_S)

    async def has(self, name: Name) -> bool:
        """Raises STORE_UNAVAILABLE."""
        return bool(await self._ask(lambda: self._shared.client.exists(name.key)))

    async def is_heard(self, name: Name) -> bool:
        """Somebody listens on another replica, as far as is known."""
        try:
            return bool(await self._shared.ask(lambda: self._shared.client.exists(_heard(name))))
        except RedisAwayError:
            return False

    async def _write(self, name: Name, events: Sequence[chat_pb2.ChatEvent], first: int, ending: Ending | None) -> None:
        """Writing the same again does no harm. Raises RedisAwayError."""
        told: dict[bytes, float] = {_EVENT + event.SerializeToString(): event.sequence for event in events}
        if ending is not None:
            told[_END + msgspec.json.encode(ending)] = float("inf")
        pipe: Any = self._shared.client.pipeline()
        if told:
            pipe.zadd(name.key, told)
        pipe.zremrangebyscore(name.key, "-inf", f"({first}")
        pipe.pexpire(name.key, round(self._keep_s * 1000) if ending is not None else ALIVE_S * 1000)
        await self._shared.ask(pipe.execute)

    async def _read(self, name: Name, heard: int) -> tuple[list[bytes], bool]:
        """What was said behind that event, and whether the copy is still there."""
        pipe: Any = self._shared.client.pipeline()
        pipe.zrangebyscore(name.key, f"({heard}", "inf", 0, READ_MAX)
        pipe.exists(name.key)
        pipe.set(_heard(name), b"", px=ALIVE_S * 1000)
        told, alive, _ = cast("tuple[list[bytes], int, object]", await self._ask(pipe.execute))
        return told, bool(alive)

    async def _ask(self, command: Any) -> Any:
        """Raises STORE_UNAVAILABLE."""
        try:
            return await self._shared.ask(command)
        except RedisAwayError:
            raise store_unavailable() from None

    async def _rest(self, recording: Recording, copied: int) -> None:
        """Until there is something new, or it is time to say that the writer is alive."""
        if recording.last == copied and not recording.ended:
            try:
                async with asyncio.timeout(RENEW_S):
                    await recording.news()
            except TimeoutError:
                return
        if not recording.ended:
            await asyncio.sleep(COALESCE_S)


def _heard(name: Name) -> str:
    return f"{name.key}:heard"
