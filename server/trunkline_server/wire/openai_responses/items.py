"""The items of an output by their places: which have begun, which have ended, and what kind each is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from trunkline_server.wire import dialect
from trunkline_server.wire.openai_responses.calls import Call, HostedCall, Unknown
from trunkline_server.wire.openai_responses.floor import Floor
from trunkline_server.wire.openai_responses.hosted import HOSTED
from trunkline_server.wire.openai_responses.said import Message
from trunkline_server.wire.openai_responses.shapes import ITEM, Item
from trunkline_server.wire.openai_responses.thoughts import Reasoning


class Growing(Protocol):
    """An item that has begun."""

    def end(self, item: Item, raw: msgspec.Raw) -> None:
        """It is whole: tell what was not told yet."""


KINDS: Final[Mapping[str, Callable[[Floor, int, Item], Growing]]] = {
    "message": Message,
    "reasoning": Reasoning,
    "function_call": Call,
    "custom_tool_call": Call,
    **dict.fromkeys(HOSTED, HostedCall),
}


class Items:
    """What has begun keeps how it began, in case that its end is never told."""

    __slots__ = ("_ended", "_floor", "_growing", "begun")

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._growing: dict[int, tuple[Growing, msgspec.Raw]] = {}
        self._ended: set[int] = set()
        self.begun = False

    def find(self, index: int) -> Growing | None:
        """The item in that place, while it grows."""
        found = self._growing.get(index)
        return found and found[0]

    def begin(self, index: int, raw: msgspec.Raw) -> Growing:
        self.begun = True
        item = dialect.parse(ITEM, raw)
        growing = KINDS.get(item.type, Unknown)(self._floor, index, item)
        self._growing[index] = growing, raw
        return growing

    def end(self, index: int, raw: msgspec.Raw) -> None:
        """A second end is no news."""
        if index in self._ended:
            return
        self._ended.add(index)
        growing = self.find(index) or self.begin(index, raw)
        del self._growing[index]
        growing.end(dialect.parse(ITEM, raw), raw)

    def end_all(self) -> None:
        """The answer is over."""
        for index, (_, raw) in list(self._growing.items()):
            self.end(index, raw)
