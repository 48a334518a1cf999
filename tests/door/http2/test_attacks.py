"""Ends that break the rules, or keep them and ask too much: the call or the connection ends, the server goes on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final

import pytest

from tests.fixtures.both_servers import PREFIX, Service, client, ours
from tests.fixtures.raw_http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITISED,
    PRIORITY,
    PUSH_PROMISE,
    RESET,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    Peer,
    fields,
    frame,
    header_block,
    request,
)
from tests.fixtures.until import until
from trunkline_server.door.http2.frames import Error
from trunkline_server.door.http2.limits import Limits

ECHO: Final = PREFIX + "echo"
HANG: Final = PREFIX + "hang"
TOTAL: Final = PREFIX + "total"
LIMITS: Final = Limits(receive_bytes_max=1024 * 1024, streams_max=50)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def port(service: Service) -> AsyncIterator[int]:
    async with ours(service, LIMITS) as port:
        yield port
        async with client(port) as channel:
            assert await channel.unary_unary(ECHO)(b"still here", timeout=20) == b"still here"


def opened(path: str = HANG, stream: int = 1, *, flags: int = END_HEADERS, more: bytes = b"") -> bytes:
    return frame(HEADERS, header_block(path) + more, flags, stream)


def reason_in(heard: Frame) -> Error:
    """Why a stream was reset, or a connection ended."""
    return Error(int.from_bytes(heard.payload[:4] if heard.kind == RESET else heard.payload[4:8]))


BREAKING: Final = {
    "a frame that is too large": (b"\0\x40\x01" + bytes([DATA, 0]) + (1).to_bytes(4), Error.FRAME_SIZE_ERROR),
    "an even stream": (opened(stream=2), Error.PROTOCOL_ERROR),
    "headers of no stream": (opened(stream=0), Error.PROTOCOL_ERROR),
    "data of no stream": (frame(DATA, b"x"), Error.PROTOCOL_ERROR),
    "data of an idle stream": (frame(DATA, b"x", 0, 1), Error.PROTOCOL_ERROR),
    "reset of an idle stream": (frame(RESET, bytes(4), 0, 1), Error.PROTOCOL_ERROR),
    "reset of another size": (frame(RESET, bytes(5), 0, 1), Error.FRAME_SIZE_ERROR),
    "window of an idle stream": (frame(WINDOW_UPDATE, bytes([0, 0, 0, 1]), 0, 1), Error.PROTOCOL_ERROR),
    "a window that grows by nothing": (frame(WINDOW_UPDATE, bytes(4)), Error.PROTOCOL_ERROR),
    "a window without an end": (frame(WINDOW_UPDATE, b"\x7f\xff\xff\xff") * 2, Error.FLOW_CONTROL_ERROR),
    "settings of another size": (frame(SETTINGS, bytes(7)), Error.FRAME_SIZE_ERROR),
    "settings of a stream": (frame(SETTINGS, b"", 0, 1), Error.FRAME_SIZE_ERROR),
    "an acknowledgement with settings": (frame(SETTINGS, bytes(6), ACK), Error.FRAME_SIZE_ERROR),
    "a window beyond all": (frame(SETTINGS, b"\0\4\xff\xff\xff\xff"), Error.FLOW_CONTROL_ERROR),
    "frames of no size": (frame(SETTINGS, b"\0\5\0\0\0\1"), Error.PROTOCOL_ERROR),
    "push twice": (frame(SETTINGS, b"\0\2\0\0\0\2"), Error.PROTOCOL_ERROR),
    "a push": (frame(PUSH_PROMISE, bytes(4), END_HEADERS, 1), Error.PROTOCOL_ERROR),
    "a ping of another size": (frame(PING, bytes(7)), Error.FRAME_SIZE_ERROR),
    "a ping of a stream": (frame(PING, bytes(8), 0, 1), Error.FRAME_SIZE_ERROR),
    "priority of another size": (frame(PRIORITY, bytes(4), 0, 1), Error.FRAME_SIZE_ERROR),
    "a continuation of nothing": (frame(CONTINUATION, b"", END_HEADERS, 1), Error.PROTOCOL_ERROR),
    "a block that is interrupted": (opened(flags=0) + frame(PING, bytes(8)), Error.PROTOCOL_ERROR),
    "a block that goes on elsewhere": (opened(flags=0) + frame(CONTINUATION, b"", 4, 3), Error.PROTOCOL_ERROR),
    "a block without an end": (opened(flags=0) + frame(CONTINUATION, b"", 0, 1) * 100, Error.ENHANCE_YOUR_CALM),
    "a block that is too large": (
        opened(flags=0) + frame(CONTINUATION, bytes(16_000), 0, 1) * 20,
        Error.ENHANCE_YOUR_CALM,
    ),
    "padding beyond the frame": (opened() + frame(DATA, b"\x05abc", PADDED, 1), Error.PROTOCOL_ERROR),
    "padding of headers beyond the frame": (frame(HEADERS, b"\xff", PADDED | END_HEADERS, 1), Error.PROTOCOL_ERROR),
    "a number that is not there": (frame(HEADERS, b"\xfe", END_HEADERS, 1), Error.COMPRESSION_ERROR),
    "the number 0": (frame(HEADERS, b"\x80", END_HEADERS, 1), Error.COMPRESSION_ERROR),
    "a number without an end": (frame(HEADERS, b"\xff" * 20, END_HEADERS, 1), Error.COMPRESSION_ERROR),
    "a string that is cut": (frame(HEADERS, b"\0\x05ab", END_HEADERS, 1), Error.COMPRESSION_ERROR),
    "a table beyond all": (frame(HEADERS, b"\x3f\xff\x7f", END_HEADERS, 1), Error.COMPRESSION_ERROR),
    "Huffman's end": (frame(HEADERS, b"\0\x84\xff\xff\xff\xff\0", END_HEADERS, 1), Error.COMPRESSION_ERROR),
    "a bomb of numbers": (
        frame(HEADERS, b"\x40\x01a\x7f\x81\x1e" + b"x" * 4000 + b"\xbe" * 9000, END_HEADERS, 1),
        Error.ENHANCE_YOUR_CALM,
    ),
}


@pytest.mark.parametrize("name", BREAKING)
async def test_what_ends_the_connection(port: int, name: str) -> None:
    sent, error = BREAKING[name]
    async with Peer.at(port) as peer:
        peer.say(sent)
        assert reason_in(await peer.hear_until(GOAWAY)) is error
        assert [heard.kind for heard in await peer.hear_all()].count(GOAWAY) == 1


HEADS: Final = {
    "no path": fields((b":method", b"POST"), (b":scheme", b"http")),
    "a path twice": fields((b":path", b"/")) + header_block(ECHO),
    "a pseudo header that is not one": fields((b":other", b"x")) + header_block(ECHO),
    "capital letters": header_block(ECHO) + fields((b"X-Up", b"x")),
    "an empty name": header_block(ECHO) + fields((b"", b"x")),
    "a header of connections": header_block(ECHO) + fields((b"connection", b"close")),
    "another te": header_block(ECHO) + fields((b"te", b"gzip")),
    "a line break": header_block(ECHO) + fields((b"x-a", b"1\r\nx-b: 2")),
    "a zero": header_block(ECHO) + fields((b"x-a", b"\0")),
}


@pytest.mark.parametrize("name", HEADS)
async def test_what_resets_the_stream(port: int, name: str) -> None:
    async with Peer.at(port) as peer:
        peer.say(frame(HEADERS, HEADS[name], END_HEADERS | END_STREAM, 1))
        assert reason_in(await peer.hear_until(RESET, 1)) is Error.PROTOCOL_ERROR
        peer.call(ECHO, b"next", stream=3)
        assert (await peer.hear_until(DATA, 3)).payload[5:] == b"next"


async def test_headers_and_data_after_the_end(port: int) -> None:
    for late in (frame(DATA, b"x", 0, 1), opened(stream=1)):
        async with Peer.at(port) as peer:
            peer.call(HANG)
            peer.say(late)
            assert reason_in(await peer.hear_until(RESET, 1)) is Error.STREAM_CLOSED


async def test_trailers_end_a_request_and_other_headers_do_not(port: int) -> None:
    async with Peer.at(port) as peer:
        peer.say(opened(TOTAL) + frame(DATA, b"\0\0\0\0\1x", 0, 1) + frame(HEADERS, b"", END_HEADERS | END_STREAM, 1))
        assert (await peer.hear_until(DATA, 1)).payload[5:] == b"1 1"
        peer.say(opened(TOTAL, 3) + frame(HEADERS, b"", END_HEADERS, 3))
        assert reason_in(await peer.hear_until(RESET, 3)) is Error.PROTOCOL_ERROR


async def test_more_than_the_windows_hold(port: int) -> None:
    async with Peer.at(port) as peer:
        peer.say(opened(HANG) + frame(DATA, b"\0\0\x0f\xff\xff" + bytes(16_000), 0, 1))
        peer.say(opened(PREFIX + "mirror", 3))
        peer.say(frame(DATA, b"\0\0\0\0\0" * 3000, 0, 3) * 100)  # answers that nobody reads hold the handler up
        assert reason_in(await peer.hear_until(RESET, 3)) is Error.FLOW_CONTROL_ERROR


async def test_padding_priorities_and_pieces_are_fine(port: int) -> None:
    block = header_block(ECHO)
    padded = bytes([3]) + bytes(5) + block[:10] + bytes(3)
    async with Peer.at(port) as peer:
        peer.say(frame(PRIORITY, bytes(5), 0, 1) + frame(77, b"unknown", 0, 5))
        peer.say(frame(HEADERS, padded, PADDED | PRIORITISED, 1))
        peer.say(frame(CONTINUATION, block[10:50], 0, 1) + frame(CONTINUATION, block[50:], END_HEADERS, 1))
        for byte in b"\0\0\0\0\x05hello":
            peer.say(frame(DATA, bytes([2, byte, 0, 0]), PADDED, 1))
        peer.say(frame(DATA, b"", END_STREAM, 1))
        assert (await peer.hear_until(DATA, 1)).payload[5:] == b"hello"


async def test_every_cut_between_packets_is_fine(port: int) -> None:
    sent = request(ECHO, (), b"hello")
    for at in range(1, len(sent), 7):
        async with Peer.at(port) as peer:
            peer.say(sent[:at])
            await peer.hear_until(SETTINGS, flags=ACK)
            peer.say(sent[at:])
            assert (await peer.hear_until(DATA, 1)).payload[5:] == b"hello"


FLOODS: Final = {
    "rapid reset": b"".join(request(HANG, (), b"", n) + frame(RESET, bytes(4), 0, n) for n in range(1, 2001, 2)),
    "refused calls": b"".join(opened("/none", n, flags=END_HEADERS | END_STREAM) for n in range(1, 2001, 2)),
    "broken calls": b"".join(opened(HANG, n) + frame(WINDOW_UPDATE, bytes(4), 0, n) for n in range(1, 2001, 2)),
    "settings": frame(SETTINGS) * 3000,
    "pings": frame(PING, bytes(8)) * 5,
    "empty data": opened() + frame(DATA, b"", 0, 1) * 3000,
    "priorities": frame(PRIORITY, bytes(5), 0, 1) * 3000,
    "unknown frames": frame(99) * 3000,
}


@pytest.mark.parametrize("name", FLOODS)
async def test_floods_end_the_connection(port: int, service: Service, name: str) -> None:
    async with Peer.at(port) as peer:
        peer.say(FLOODS[name])
        assert reason_in(await peer.hear_until(GOAWAY)) is Error.ENHANCE_YOUR_CALM
        await peer.hear_all()


async def test_calls_that_were_given_up_still_count_until_their_handlers_are_done(port: int, service: Service) -> None:
    async with Peer.at(port) as peer:
        for number in range(LIMITS.streams_max):
            peer.call(HANG, stream=2 * number + 1)
        peer.call(HANG, stream=1001)
        assert reason_in(await peer.hear_until(RESET, 1001)) is Error.REFUSED_STREAM
        peer.say(frame(RESET, bytes(4), 0, 1))
        await until(service.seen.cancelled.is_set)
        peer.call(ECHO, b"room again", stream=1003)
        assert (await peer.hear_until(DATA, 1003)).payload[5:] == b"room again"


async def test_pings_are_answered_as_often_as_we_speak(port: int) -> None:
    async with Peer.at(port) as peer:
        for number in range(1, 41, 2):
            peer.say(frame(PING, number.to_bytes(8)))
            peer.call(ECHO, b"x", stream=number)
            assert (await peer.hear_until(PING, flags=ACK)).payload == number.to_bytes(8)
            await peer.hear_until(HEADERS, number, END_STREAM)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({b"content-type": b"application/json"}, b"415", None),
        ({b"content-type": b"application/grpc-web"}, b"415", None),
        ({b":method": b"GET"}, b"405", None),
        ({b"content-type": b"application/grpc+proto"}, b"\x88", 0),
        ({b"content-type": b"application/grpc; charset=utf-8"}, b"\x88", 0),
        ({b"grpc-encoding": b"snappy"}, b"\x88", 12),
        ({b"x-bin": b"%%%"}, b"\x88", 3),
        ({b"x-bin": b"AAE="}, b"\x88", 0),
        ({b"x-bin": b"AAE,AAE"}, b"\x88", 0),
    ],
)
async def test_heads_that_are_odd(port: int, headers: dict[bytes, bytes], status: bytes, code: int | None) -> None:
    usual = {b":method": b"POST", b":scheme": b"http", b":path": ECHO.encode(), b"content-type": b"application/grpc"}
    async with Peer.at(port) as peer:
        body = frame(DATA, bytes(5), END_STREAM, 1)
        peer.say(frame(HEADERS, fields(*(usual | headers).items()), END_HEADERS, 1) + body)
        ended = await peer.hear_until(HEADERS, 1, END_STREAM)
    block = b"".join(heard.payload for heard in peer.heard if heard.kind == HEADERS)
    assert status in block
    told = re.search(rb"grpc-status.(\d+)", ended.payload, re.DOTALL)
    assert told is not None
    assert code is None or int(told[1]) == code
    assert (b"grpc-accept-encoding" in block) is (code == 12)


BODIES: Final = {
    "nothing": (b"", 12),
    "two messages": (bytes(10), 12),
    "half a message": (b"\0\0\0\0\5ab", 3),
    "half a prefix": (b"\0\0", 3),
    "compressed by nobody": (b"\1\0\0\0\1x", 13),
    "too large": (b"\0\xff\xff\xff\xff", 8),
}


@pytest.mark.parametrize("name", BODIES)
async def test_bodies_that_are_odd(port: int, name: str) -> None:
    body, code = BODIES[name]
    async with Peer.at(port) as peer:
        peer.say(opened(ECHO) + frame(DATA, body, END_STREAM, 1))
        ended = await peer.hear_until(HEADERS, 1, END_STREAM)
    told = re.search(rb"grpc-status.(\d+)", ended.payload, re.DOTALL)
    assert told is not None
    assert int(told[1]) == code


async def test_requests_that_never_end_hold_only_so_much(service: Service) -> None:
    limits = Limits(receive_bytes_max=1024 * 1024, held_bytes_max=100_000)
    async with ours(service, limits) as port, Peer.at(port) as peer:
        for stream in range(1, 21, 2):
            peer.say(opened(ECHO, stream) + frame(DATA, b"\0\0\x0f\xff\xff" + bytes(16_000), 0, stream))
        ended = await peer.hear_until(HEADERS, flags=END_STREAM)
        assert b"grpc-status\x018" in ended.payload
        assert ended.stream > 10


async def test_header_tables_that_shrink_are_acknowledged(port: int) -> None:
    """Whoever changes the size of their table waits for us to say so at the next block."""
    async with Peer.at(port, b"\0\1\0\0\0\0") as peer:
        for stream, first in ((1, 0x20), (3, 0x88)):
            peer.call(ECHO, b"x", stream=stream)
            assert (await peer.hear_until(HEADERS, stream)).payload[0] == first
