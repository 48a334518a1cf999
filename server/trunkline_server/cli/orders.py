"""Orders as they are typed: messages of the contract, as JSON, in a file or on stdin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO, TypeVar

from google.protobuf.json_format import Parse, ParseError
from google.protobuf.message import Message

from trunkline_server.cli.failure import Misuse

Order = TypeVar("Order", bound=Message)


def read(text: str, order: Order, place: str) -> Order:
    """The order, filled from JSON with the contract's names. `place`: where it stands, for who typed it."""
    try:
        return Parse(text, order)
    except (ParseError, ValueError, RecursionError) as error:
        raise Misuse(f"{place} is no {order.DESCRIPTOR.name}: {error}") from None


def by_line(lines: TextIO, kind: type[Order]) -> Iterator[Order]:
    """One order for each line that is not empty."""
    for number, line in enumerate(lines, 1):
        if text := line.strip():
            yield read(text, kind(), f"line {number}")
