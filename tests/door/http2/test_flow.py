"""Callers who do not read: what we hold for them is bounded, and after a while they are let go."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from tests.fixtures.raw_http2 import ACK, DATA, END_STREAM, HEADERS, PING, RESET, SETTINGS, WINDOW_UPDATE, Peer, frame
from tests.fixtures.until import until
from trunkline_server.door.code import Code
from trunkline_server.door.http2.exchange import Exchange, Rpc
from trunkline_server.door.http2.limits import Limits
from trunkline_server.door.http2.listener import Listener

WIDE: Final = b"\0\4\x7f\xff\xff\xff"
MIB: Final = 1024 * 1024


class Fountain:
    """Sends for as long as somebody takes it, or until its patience is over."""

    def __init__(self, message: bytes, patience_s: float | None = None) -> None:
        self.message = message
        self.sent_count = 0
        self.waiting_count = 0
        self.ended: list[str] = []
        self._patience_s = patience_s

    async def serve(self, exchange: Exchange) -> None:
        try:
            while True:
                await self._send(exchange)
                await asyncio.sleep(0)
        except (asyncio.CancelledError, TimeoutError):
            self.ended.append("left" if exchange.left else "cut")
            exchange.finish(Code.ABORTED, "in the middle")

    async def _send(self, exchange: Exchange) -> None:
        self.waiting_count += 1
        try:
            async with asyncio.timeout(self._patience_s):
                await exchange.send(self.message)
        finally:
            self.waiting_count -= 1
        self.sent_count += 1


@asynccontextmanager
async def serving(fountain: Fountain, limits: Limits) -> AsyncIterator[int]:
    listener = Listener({"/f": Rpc(fountain.serve)}, limits)
    port = await listener.start("127.0.0.1", 0)
    yield port
    await listener.stop(0)


async def stays(peer: Peer, fountain: Fountain, count: int) -> bool:
    """So many messages are sent, and no more by the time that a ping comes back."""
    await until(lambda: fountain.sent_count >= count)
    for _ in range(2):
        peer.say(frame(PING, bytes(8)))
        await peer.hear_until(PING, flags=ACK)
    return fountain.sent_count == count


async def test_the_window_of_a_stream_stops_its_handler() -> None:
    fountain = Fountain(b"x" * 995)
    async with serving(fountain, Limits()) as port, Peer.at(port) as peer:
        peer.call("/f")
        await peer.hear_until(HEADERS, 1)
        for _ in range(65):
            await peer.hear_until(DATA, 1)
        assert await stays(peer, fountain, 65)
        peer.say(frame(WINDOW_UPDATE, (10_000).to_bytes(4), 0, 1) + frame(WINDOW_UPDATE, (10_000).to_bytes(4)))
        await until(lambda: fountain.sent_count == 75)


async def test_windows_that_shrink_below_nothing_are_made_up_for() -> None:
    fountain = Fountain(b"x" * 995)
    async with serving(fountain, Limits()) as port, Peer.at(port) as peer:
        peer.call("/f")
        assert await stays(peer, fountain, 65)
        peer.say(frame(SETTINGS, b"\0\4\0\0\0\0") + frame(WINDOW_UPDATE, (10_000).to_bytes(4)))
        peer.say(frame(WINDOW_UPDATE, (65_535).to_bytes(4), 0, 1))
        await peer.hear_until(SETTINGS, flags=ACK)
        assert fountain.sent_count == 65
        peer.say(frame(SETTINGS, b"\0\4\0\0\x27\x10"))
        await until(lambda: fountain.sent_count == 75)


async def test_settings_are_acknowledged_before_the_data_that_they_let_through() -> None:
    """Clients count by the old window until they hear that we know the new one."""
    async with serving(Fountain(b"x" * 100_000), Limits()) as port, Peer.at(port) as peer:
        peer.call("/f")
        peer.say(frame(WINDOW_UPDATE, (1_000_000).to_bytes(4)))
        while sum(len(heard.payload) for heard in peer.heard if heard.kind == DATA) < 65_535:
            await peer.hear()
        assert any(heard.kind == SETTINGS and heard.flags == ACK for heard in peer.heard)
        before = len(peer.heard)
        peer.say(frame(SETTINGS, b"\0\4\0\2\0\0"))
        await peer.hear_until(DATA, 1)
        assert [heard.kind for heard in peer.heard[before:]] == [SETTINGS, DATA]


async def test_many_who_never_read_cost_little_memory() -> None:
    """200 streams with windows without an end, and a socket that nobody empties."""
    fountain = Fountain(b"x" * 100_000)
    async with serving(fountain, Limits()) as port, Peer.at(port, WIDE) as peer:
        tracemalloc.start()
        try:
            peer.say(frame(WINDOW_UPDATE, (2**31 - 70_000).to_bytes(4)))
            for stream in range(1, 401, 2):
                peer.call("/f", stream=stream)
            await until(lambda: fountain.waiting_count == 200)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert held < 200 * 110_000 + 8 * MIB
    await until(lambda: len(fountain.ended) == 200)


async def test_who_reads_nothing_for_long_is_let_go() -> None:
    fountain = Fountain(b"x" * 100_000)
    async with serving(fountain, Limits(stuck_s=0.2, tick_s=0.05)) as port, Peer.at(port) as peer:
        peer.call("/f")
        reset = await peer.hear_until(RESET, 1)
        assert int.from_bytes(reset.payload) == 8
        assert fountain.ended == ["cut"]


async def test_a_message_that_is_out_in_part_is_ended_before_the_status() -> None:
    fountain = Fountain(b"x" * 100_000, patience_s=0.1)
    async with serving(fountain, Limits()) as port, Peer.at(port) as peer:
        peer.call("/f")
        await peer.hear_until(DATA, 1)
        await until(lambda: fountain.ended == ["cut"])
        peer.say(frame(WINDOW_UPDATE, (50_000).to_bytes(4), 0, 1) + frame(WINDOW_UPDATE, (50_000).to_bytes(4)))
        ended = await peer.hear_until(HEADERS, 1, END_STREAM)
        assert sum(len(heard.payload) for heard in peer.heard if heard.kind == DATA) == 100_005
        assert b"grpc-status\x0210" in ended.payload


@pytest.mark.parametrize("message", [b"x" * 10, b"x" * 100_000], ids=["small", "large"])
async def test_who_hangs_up_while_we_send_ends_the_handler(message: bytes) -> None:
    fountain = Fountain(message)
    async with serving(fountain, Limits()) as port:
        async with Peer.at(port) as peer:
            peer.call("/f")
            await peer.hear_until(DATA, 1)
        await until(lambda: fountain.ended == ["left"])
