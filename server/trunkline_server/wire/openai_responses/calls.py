"""Calls in an answer: of the caller's functions, and of tools that the provider runs."""

from __future__ import annotations

import msgspec

from trunkline.v1 import content_pb2
from trunkline_server.wire import dialect
from trunkline_server.wire.openai_chat.calls import FREE_TEXT
from trunkline_server.wire.openai_responses.floor import Floor
from trunkline_server.wire.openai_responses.hosted import HOSTED, arguments_of, count_of, found_of, state_of
from trunkline_server.wire.openai_responses.shapes import FIELDS, Item


class Call:
    """A call of a function; or of a tool that takes free text, which its state says."""

    __slots__ = ("_floor", "_heard", "_index")

    def __init__(self, floor: Floor, index: int, item: Item) -> None:
        self._floor = floor
        self._index = index
        self._heard = False
        floor.give(None)
        floor.answer.tool_call(index, item.call_id or item.id or "", item.name or "")
        if item.type == "custom_tool_call":
            floor.answer.state(floor.state(FREE_TEXT, item.id), key=index)

    def hear(self, fragment: str) -> None:
        """More of the arguments."""
        self._heard = self._heard or bool(fragment)
        self._floor.answer.arguments(self._index, fragment)

    def end(self, item: Item, raw: msgspec.Raw) -> None:  # noqa: ARG002 - other kinds keep the item as it is
        if not self._heard:
            self.hear(item.arguments or item.input or "")
        self._floor.answer.close_part(key=self._index)


class HostedCall:
    """A call that the provider makes and answers itself. It is told what was asked and found when both are known."""

    __slots__ = ("_floor", "_index", "_tool", "_type")

    def __init__(self, floor: Floor, index: int, item: Item) -> None:
        self._floor = floor
        self._index = index
        self._type = item.type
        self._tool = HOSTED[item.type]
        floor.give(None)
        name, executor = item.name or self._tool.name, content_pb2.TOOL_EXECUTOR_PROVIDER
        floor.answer.tool_call(index, item.id or "", name, executor=executor)

    def end(self, item: Item, raw: msgspec.Raw) -> None:
        fields, answer = dialect.parse(FIELDS, raw), self._floor.answer
        answer.arguments(self._index, arguments_of(self._tool, fields))
        answer.state(self._floor.state(state_of(self._tool, fields), item.id), key=self._index)
        answer.close_part(key=self._index)
        for part in found_of(self._type, fields, self._floor.state(b"", item.id)):
            self._floor.show(part)
        if self._tool.unit:
            units = self._floor.units
            units[self._tool.unit] = units.get(self._tool.unit, 0) + count_of(self._type, fields)


class Unknown:
    """An item that has no shape of its own here."""

    __slots__ = ("_floor",)

    def __init__(self, floor: Floor, index: int, item: Item) -> None:  # noqa: ARG002 - other kinds need them
        self._floor = floor

    def end(self, item: Item, raw: msgspec.Raw) -> None:
        self._floor.show_raw(item.type, raw)
