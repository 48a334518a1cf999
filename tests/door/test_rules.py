"""The quick rules say yes to no message that protovalidate refuses, and to all that callers usually send."""

from __future__ import annotations

import random
from typing import Any, Final

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tests.fixtures.gateway import question
from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.door.contract import Contract

CONTRACT: Final = Contract()
REQUESTS: Final = sorted({method.request for method in CONTRACT.methods()})
TEXTS: Final = [
    "",
    "a",
    "x-1",
    "\n",
    "é",
    "user\n",
    "a b",
    "x" * 63,
    "x" * 64,
    "x" * 65,
    "x" * 255,
    "x" * 256,
    "é" * 300,
]
NUMBERS: Final = [0, 1, -1, 2, 8, 20, 100, 128, 129, 1000, 10_000, 2**31 - 1, -(2**31)]
FLOATS: Final = [0.0, -0.0, 0.5, 1.0, 1.5, 2.0, 2.5, -2.5, 1e9, float("nan"), float("inf"), float("-inf")]
COUNTS: Final = [1, 1, 1, 2, 17]
KINDS: Final = FieldDescriptor
VALUES: Final[dict[int, list[Any]]] = {
    KINDS.CPPTYPE_STRING: TEXTS,
    KINDS.CPPTYPE_ENUM: [0, 1, 2, 3, 99],
    KINDS.CPPTYPE_BOOL: [False, True],
    KINDS.CPPTYPE_DOUBLE: FLOATS,
    KINDS.CPPTYPE_FLOAT: FLOATS,
    KINDS.CPPTYPE_UINT32: [abs(number) for number in NUMBERS],
    KINDS.CPPTYPE_UINT64: [abs(number) for number in NUMBERS],
}


def value_of(field: Any, rng: random.Random, depth: int) -> Any:
    """Anything that the field can hold, mostly near its bounds."""
    if field.message_type is not None:
        return filled(CONTRACT._class_of(field.message_type.full_name)(), rng, depth - 1)
    if field.type == KINDS.TYPE_BYTES:
        return rng.choice(TEXTS).encode()
    return rng.choice(VALUES.get(field.cpp_type, NUMBERS))


def filled(message: Any, rng: random.Random, depth: int) -> Any:
    """With a part of its fields set."""
    much = rng.random()
    for field in message.DESCRIPTOR.fields:
        if rng.random() < much and depth > 0:
            fill(message, field, rng, depth)
    return message


def fill(message: Any, field: Any, rng: random.Random, depth: int) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        for _ in range(rng.choice(COUNTS)):
            if value.message_type is None:
                getattr(message, field.name)[value_of(key, rng, depth)] = value_of(value, rng, depth)
            else:
                getattr(message, field.name)[value_of(key, rng, depth)].CopyFrom(value_of(value, rng, depth))
    elif field.is_repeated:
        count = rng.choice(COUNTS) if depth > 2 or field.message_type is None else 1
        getattr(message, field.name).extend(value_of(field, rng, depth) for _ in range(count))
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(value_of(field, rng, depth))
    else:
        setattr(message, field.name, value_of(field, rng, depth))


def some(name: str, count: int) -> list[Message]:
    rng = random.Random(name)
    return [filled(CONTRACT._class_of(name)(), rng, 4) for _ in range(count)]


@pytest.mark.parametrize("name", REQUESTS)
def test_whatever_is_surely_right_is_right(name: str) -> None:
    for message in some(name, 40):
        if CONTRACT._rules.hold(message):
            violations = CONTRACT._validator.collect_violations(message)
            assert not violations, (message, [each.proto for each in violations])


def test_what_is_right_is_mostly_known_to_be() -> None:
    """Or the test above would prove nothing."""
    messages = [message for name in REQUESTS for message in some(name, 20)]
    right = [message for message in messages if not CONTRACT._validator.collect_violations(message)]
    known = [message for message in right if CONTRACT._rules.hold(message)]
    assert len(known) > 0.9 * len(right) > 20


def test_usual_questions_need_no_more() -> None:
    usual = question("hi", labels={"a": "b"})
    for message in (chat_pb2.CompleteRequest(input=usual), chat_pb2.StreamRequest(input=usual)):
        assert CONTRACT._rules.hold(message)
    usual.messages.add(role=99, parts=[content_pb2.Part(text=content_pb2.TextPart(text="x"))])
    assert not CONTRACT._rules.hold(chat_pb2.CompleteRequest(input=usual))
