"""What any call can be told besides its input."""

from __future__ import annotations

from typing import TypedDict, TypeVar

from google.protobuf.message import Message

Input = TypeVar("Input", bound=Message)


class Call(TypedDict, total=False):
    """How a call is made."""

    user: str
    """Your end user, whose account is charged."""
    request_id: str
    """The same name and input give the same answer for a day, charged once. Each call gets one unasked."""
    timeout_s: float
    """How long it may take, everything together."""


def whole(given: Input, also: Input | None) -> Input:
    """An input with what there was no word for: single values replace, lists grow."""
    if also is not None:
        given.MergeFrom(also)
    return given
