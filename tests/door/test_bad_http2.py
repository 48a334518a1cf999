"""What only a hand-made client sends: the connection or the call ends cleanly, and the server goes on."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from typing import Final

import pytest

from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, question, text_of
from tests.fixtures.raw_http2 import PREFACE, SETTINGS, Headers, exchange, frame, request
from trunkline.v1 import chat_pb2

COMPLETE: Final = "/trunkline.v1.ChatService/Complete"
HELLO: Final = chat_pb2.CompleteRequest(input=question("hello")).SerializeToString()
OK, INVALID_ARGUMENT, DEADLINE_EXCEEDED, UNIMPLEMENTED, UNAUTHENTICATED = 0, 3, 4, 12, 16


async def status(gateway: RunningGateway, *headers: tuple[bytes, bytes], message: bytes = HELLO) -> int | None:
    """The number in `grpc-status`; None for a call that was cut off."""
    given: Headers = ((b"authorization", f"Bearer {gateway.key}".encode()), *headers)
    answered = await exchange(gateway.house.grpc_address, COMPLETE, given, message)
    found = re.search(rb"grpc-status.(\d+)", answered, re.DOTALL)
    return int(found[1]) if found else None


async def test_the_hand_made_client_works(gateway: RunningGateway) -> None:
    assert await status(gateway) == OK
    assert await status(gateway, message=b"\xff\xff") == INVALID_ARGUMENT


@pytest.mark.parametrize("deadline", [b"99999999H", b"1000000000S", b"9" * 60 + b"S"])
async def test_deadlines_without_an_end(gateway: RunningGateway, deadline: bytes) -> None:
    assert await status(gateway, (b"grpc-timeout", deadline)) == OK


@pytest.mark.parametrize(
    ("deadline", "code"),
    [
        (b"1n", DEADLINE_EXCEEDED),
        (b"0S", DEADLINE_EXCEEDED),
        (b"-1S", INVALID_ARGUMENT),
        (b"abc", INVALID_ARGUMENT),
        (b"", INVALID_ARGUMENT),
    ],
)
async def test_deadlines_that_are_over_or_no_deadlines(
    books: Books, gateway: RunningGateway, deadline: bytes, code: int
) -> None:
    assert await status(gateway, (b"grpc-timeout", deadline)) == code
    assert await books.holds() == []


async def test_an_unknown_compression(gateway: RunningGateway) -> None:
    assert await status(gateway, (b"grpc-encoding", b"unknown")) == UNIMPLEMENTED


@pytest.mark.parametrize("value", [b"\xff\xfe", b"a\r\nb: c", b"\0", b"\x1b[31m", "é".encode()])
@pytest.mark.parametrize("name", [b"x-trunkline-user", b"x-request-id", b"idempotency-key", b"authorization"])
async def test_values_that_are_no_text(
    gateway: RunningGateway, capfd: pytest.CaptureFixture[str], name: bytes, value: bytes
) -> None:
    """Refused or replaced, and nowhere in a log as it came."""
    canary = b"canary" + value
    assert await status(gateway, (name, canary)) in (OK, INVALID_ARGUMENT, UNAUTHENTICATED, None)
    gateway.house.journal.flush()
    assert "canary" not in "".join(capfd.readouterr())
    await assert_serves(gateway)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        bytes(4096),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600),
        PREFACE + random.Random(2).randbytes(2000),
        PREFACE + frame(SETTINGS, b"\0" * 7),
        PREFACE + frame(SETTINGS) + frame(8, (2**31 - 1).to_bytes(4), stream=0) * 3,
        PREFACE + frame(SETTINGS) + frame(1, b"\x80", 4, 2),
        PREFACE + frame(SETTINGS) + frame(1, b"", 0, 1) + frame(9, b"\0" * 1000, 0, 1) * 50,
        PREFACE + frame(SETTINGS) + request(COMPLETE, (), HELLO)[:-3],
        PREFACE
        + frame(SETTINGS)
        + b"".join(frame(1, b"\x82", 4, n) + frame(3, bytes(4), 0, n) for n in range(1, 999, 2)),
    ],
    ids="HTTP/1 zeros TLS noise settings window even-stream continuation cut-off rapid-reset".split(),  # noqa: SIM905 - names
)
async def test_bytes_that_are_no_http2(gateway: RunningGateway, sent: bytes) -> None:
    host, _, port = gateway.house.grpc_address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    await assert_serves(gateway)
    writer.write_eof()
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionResetError):
            while await reader.read(1 << 16):
                pass
    writer.close()
    await assert_serves(gateway)


async def assert_serves(gateway: RunningGateway) -> None:
    asked = chat_pb2.CompleteRequest(input=question("still here"))
    answer = await gateway.chat.Complete(asked, metadata=gateway.metadata())
    assert text_of(answer.completion) == "still here"
