"""The callers: unary calls and streams at a given number at once, over a few connections.

Messages stay bytes where nobody looks into them, so that this side is not what is measured.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import grpc
import uvloop

from tests.bench.child import orders, say
from tests.bench.upstream import ABSENT_MODEL, WORD
from trunkline.v1 import chat_pb2, content_pb2, guard_pb2

CONNECTIONS: Final = 4
COMPLETE: Final = "/trunkline.v1.ChatService/Complete"
STREAM: Final = "/trunkline.v1.ChatService/Stream"
GUARDED: Final = "paced guarded"
MODEL: Final = "openai/gpt-4o-mini"
MOVED_MODEL: Final = f"openai/{ABSENT_MODEL}"
"""Its provider does not have it, so that each call moves to the next one, and no breaker minds."""
FALLBACK_MODEL: Final = "mistral/mistral-large-latest"
MASKED: Final = guard_pb2.GuardRule(personal_data=guard_pb2.GUARD_LEVEL_STANDARD)


def question(kind: str, model: str = MODEL) -> chat_pb2.ChatInput:
    """A short question; `kind` is the word that the upstream looks for."""
    text = content_pb2.TextPart(text=f"Say something of {kind} length about the city of Lisbon, please.")
    message = content_pb2.Message(role=content_pb2.ROLE_USER, parts=[content_pb2.Part(text=text)])
    asked = chat_pb2.ChatInput(model=model, messages=[message])
    if kind == GUARDED:
        asked.messages[0].parts[0].text.text += " Write to ann@example.org."
        asked.guard.MergeFrom(guard_pb2.Guard(input=MASKED, output=MASKED))
    return asked


@dataclass
class Seen:
    """What came back: answers or deltas."""

    count: int = 0
    failed: int = 0
    gap_s: float = 0.0
    gap_p50_s: float = 0.0
    error: str = ""

    def fail(self, error: grpc.aio.AioRpcError) -> None:
        self.failed += 1
        self.error = f"{error.code().name}: {error.details()}"


class Load:
    """One server under load."""

    def __init__(self, address: str, key: str) -> None:
        own = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [grpc.aio.insecure_channel(address, own) for _ in range(CONNECTIONS)]
        self._metadata = (("authorization", f"Bearer {key}"), ("x-trunkline-user", "bench"))
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    async def unary(self, seconds: float, at_once: int, model: str = MODEL) -> Seen:
        """Calls one after another in each place until the time is over."""
        seen, until = Seen(), self._loop.time() + seconds
        request = chat_pb2.CompleteRequest(input=question("whole", model)).SerializeToString()

        async def call(place: int) -> None:
            ask: Any = self._channels[place % CONNECTIONS].unary_unary(COMPLETE)
            while self._loop.time() < until:
                await ask(request, metadata=self._metadata, timeout=20)
                seen.count += 1

        return await self._everywhere(call, at_once, seen)

    async def streams(self, kind: str, seconds: float, at_once: int) -> Seen:
        """Streams one after another in each place until the time is over; at least one."""
        seen, until = Seen(), self._loop.time() + seconds
        gaps: list[float] = []
        request = chat_pb2.StreamRequest(input=question(kind)).SerializeToString()

        async def call(place: int) -> None:
            ask: Any = self._channels[place % CONNECTIONS].unary_stream(STREAM)
            while True:
                await self._listen(ask(request, metadata=self._metadata, timeout=30), seen, gaps)
                if self._loop.time() >= until:
                    return

        await self._everywhere(call, at_once, seen)
        seen.gap_p50_s = median(gaps) if gaps else 0.0
        return seen

    async def _listen(self, messages: Any, seen: Seen, gaps: list[float]) -> None:
        last = 0.0
        async for message in messages:
            now = self._loop.time()
            if last:
                gaps.append(now - last)
                seen.gap_s = max(seen.gap_s, now - last)
            last = now
            event = chat_pb2.StreamResponse.FromString(message).event
            seen.count += len(event.part_delta.text) // len(WORD)

    async def _everywhere(self, call: Callable[[int], Awaitable[None]], at_once: int, seen: Seen) -> Seen:
        async def place(number: int) -> None:
            try:
                await call(number)
            except grpc.aio.AioRpcError as error:
                seen.fail(error)

        await asyncio.gather(*(place(number) for number in range(at_once)))
        return seen


async def main() -> None:
    load = Load(*sys.argv[1:3])
    say({})
    async for order in orders():
        if order["kind"] == "whole":
            say(vars(await load.unary(order["seconds"], order["at_once"])))
        elif order["kind"] == "moved":
            say(vars(await load.unary(order["seconds"], order["at_once"], MOVED_MODEL)))
        else:
            say(vars(await load.streams(order["kind"], order["seconds"], order["at_once"])))
    await load.close()


if __name__ == "__main__":
    uvloop.run(main())
