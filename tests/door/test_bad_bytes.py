"""Bytes that are no request, on every method: a clean INVALID_ARGUMENT, never a fault, and the server goes on."""

from __future__ import annotations

import random
from typing import Final

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fixtures.gateway import RunningGateway, StartGateway, question, text_of
from tests.fixtures.refusal import Refusal, refusal, refusal_of, send
from tests.fixtures.requests import DEADLY, ENDLESS
from trunkline.v1 import chat_pb2
from trunkline_server.door.contract import Contract

COMPLETE: Final = "/trunkline.v1.ChatService/Complete"
MALFORMED: Final = Refusal("INVALID_ARGUMENT", "MALFORMED_MESSAGE")
FAULTS: Final = frozenset(("UNKNOWN", "INTERNAL", "UNIMPLEMENTED", "DATA_LOSS"))
HEARD: Final = frozenset(f"/trunkline.v1.{name}" for name in ENDLESS)
METHODS: Final = sorted({method.name for method in Contract().methods()} - {f"/trunkline.v1.{name}" for name in DEADLY})
MIB: Final = 1024 * 1024

fuzzed = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def nested(depth: int) -> bytes:
    """A question whose last part holds so many tool results within tool results."""
    data = b""
    for level in range(depth):
        data = delimited(3 if level % 2 else 7, data)
    return delimited(1, delimited(2, delimited(2, data)))


def delimited(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def varint(value: int) -> bytes:
    head = bytearray()
    while value > 127:
        head.append(value & 127 | 128)
        value >>= 7
    return bytes(head) + bytes([value])


WHOLE: Final = chat_pb2.CompleteRequest(input=question("hello"), request_id="r").SerializeToString()
BAD_BYTES: Final = {
    "random": random.Random(1).randbytes(300),
    "truncated": WHOLE[:-1],
    "length that lies": b"\x0a\xff\xff\xff\xff\x07abc",
    "group without an end": b"\x0b\x08\x01",
    "field number zero": b"\x02\x01a",
    "varint of eleven bytes": b"\x08" + b"\xff" * 11,
    "invalid UTF-8": delimited(2, b"\xff\xfe"),
    "half a code point": delimited(2, "é".encode()[:1]),
    "surrogate": delimited(2, b"\xed\xa0\x80"),
    "101 deep": nested(101),
    "5,001 deep": nested(5001),
}


@pytest.mark.parametrize("data", BAD_BYTES.values(), ids=BAD_BYTES)
async def test_bytes_that_do_not_parse(gateway: RunningGateway, data: bytes) -> None:
    assert await refusal(send(gateway.channel, COMPLETE, data, gateway.metadata())) == MALFORMED
    await assert_serves(gateway)


async def test_a_wrong_wire_type_is_a_field_that_is_missing(gateway: RunningGateway) -> None:
    told = await refusal(send(gateway.channel, COMPLETE, b"\x08\x01", gateway.metadata()))
    assert told == ("INVALID_ARGUMENT", "VALIDATION", "input")


async def test_unknown_fields_are_skipped(gateway: RunningGateway) -> None:
    (answer,) = await send(gateway.channel, COMPLETE, WHOLE + delimited(15, b"new"), gateway.metadata())
    assert text_of(chat_pb2.CompleteResponse.FromString(answer).completion) == "hello"


async def test_who_may_not_call_does_not_learn_that_bytes_are_bad(gateway: RunningGateway) -> None:
    assert await refusal(send(gateway.channel, COMPLETE, b"\xff", ())) == ("UNAUTHENTICATED", "AUTH_MISSING", "")


@fuzzed
@given(data=st.binary(max_size=300))
async def test_any_bytes_on_every_method(gateway: RunningGateway, data: bytes) -> None:
    for method in METHODS:
        await assert_no_fault(gateway, method, data)


@fuzzed
@given(place=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255), length=st.integers(0, 3))
async def test_a_good_request_with_a_wound(gateway: RunningGateway, place: int, byte: int, length: int) -> None:
    await assert_no_fault(gateway, COMPLETE, WHOLE[:place] + bytes([byte] * length) + WHOLE[place + 1 :])


async def test_methods_that_are_not_there(gateway: RunningGateway) -> None:
    for method in ("/trunkline.v1.ChatService/Nothing", "/trunkline.v1.Nobody/Complete", "/a/b/c", "/"):
        told = await refusal(send(gateway.channel, method, WHOLE, gateway.metadata()))
        assert told == ("UNIMPLEMENTED", "", ""), method


async def test_messages_of_5_mb_are_taken_and_of_9_mb_are_not(gateway: RunningGateway) -> None:
    """The connection survives a message that is too large."""
    large = chat_pb2.CompleteRequest(input=question("x" * (5 * MIB), "sandbox/count"))
    await gateway.chat.Complete(large, metadata=gateway.metadata())
    too_large = chat_pb2.CompleteRequest(input=question("x" * (9 * MIB)))
    told = await refusal(gateway.chat.Complete(too_large, metadata=gateway.metadata()))
    assert told == ("RESOURCE_EXHAUSTED", "", "")
    await assert_serves(gateway)


async def test_a_gzip_bomb_is_not_unpacked(gateway: RunningGateway) -> None:
    bomb = chat_pb2.CompleteRequest(input=question("x" * (50 * MIB)))
    call = gateway.chat.Complete(bomb, metadata=gateway.metadata(), compression=grpc.Compression.Gzip)
    told = await refusal(call)
    assert told == ("RESOURCE_EXHAUSTED", "", "")
    await assert_serves(gateway)


async def test_reflection_is_for_those_inside(start_gateway: StartGateway) -> None:
    reflect = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    hidden, shown = await start_gateway(grpc={"reflection": "false"}), await start_gateway()
    assert (await refusal(send(hidden.channel, reflect, b"\x3a\x00", ()))).code == "UNIMPLEMENTED"
    (names,) = await send(shown.channel, reflect, b"\x3a\x00", ())
    assert b"trunkline.v1.ChatService" in names


async def assert_no_fault(gateway: RunningGateway, method: str, data: bytes) -> None:
    try:
        await send(gateway.channel, method, data, gateway.metadata(), timeout=0.2 if method in HEARD else 20)
    except grpc.aio.AioRpcError as error:
        told = refusal_of(error)
    else:
        return
    if method in HEARD and told.code == "DEADLINE_EXCEEDED":
        return
    assert told.code not in FAULTS, (method, told)
    assert told.reason, (method, told)


async def assert_serves(gateway: RunningGateway) -> None:
    asked = chat_pb2.CompleteRequest(input=question("still here"))
    answer = await gateway.chat.Complete(asked, metadata=gateway.metadata())
    assert text_of(answer.completion) == "still here"
