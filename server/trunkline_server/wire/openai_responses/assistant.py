"""Spells what the model said before: messages, thoughts and calls, each an item, in their order.

Items go back without their ids: nothing depends on what the provider remembers, and a conversation that lacks some of
them is still whole. Only items of the provider's own tools keep theirs.
"""

from __future__ import annotations

from collections.abc import Collection, MutableSet
from typing import Final, TypeVar

import msgspec
import orjson

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import invalid
from trunkline_server.wire import dialect
from trunkline_server.wire.openai_chat.calls import FREE_TEXT
from trunkline_server.wire.openai_responses.hosted import FOUND, encode_picture
from trunkline_server.wire.openai_responses.quirks import Quirks
from trunkline_server.wire.openai_responses.shapes import FIELDS, ITEM

OF_THE_ANSWER: Final = frozenset(("id", "status"))  # what the provider said about thoughts, and does not want back

Item = dict[str, object]
Shape = TypeVar("Shape")


def encode_assistant(
    message: content_pb2.Message, ask: Ask, quirks: Quirks, free_text: MutableSet[str], path: str
) -> list[object]:
    """The items of one message; `free_text` grows by the calls whose input is no JSON."""
    turn = _Turn(ask, quirks, free_text)
    for index, part in enumerate(message.parts):
        turn.add(part, f"{path}.parts[{index}]")
    return turn.items


class _Turn:
    """Grows by parts. Words next to each other are one message; what a tool found joins its call."""

    def __init__(self, ask: Ask, quirks: Quirks, free_text: MutableSet[str]) -> None:
        self._ask = ask
        self._quirks = quirks
        self._free_text = free_text
        self._said: tuple[str, list[object]] | None = None
        self._hosted: dict[str, Item] = {}
        self.items: list[object] = []

    def add(self, part: content_pb2.Part, path: str) -> None:
        if part.HasField("cache_hint"):
            self._ask.drop(f"{path}.cache_hint", "the provider decides itself what it caches")
        state = part.provider_state
        owned = part.HasField("provider_state") and self._ask.owns(state.provider, path)
        match part.WhichOneof("kind"):
            case "text":
                self._say({"type": "output_text", "text": part.text.text}, state.data if owned else b"")
            case "refusal":
                self._say({"type": "refusal", "refusal": part.refusal.text}, state.data if owned else b"")
            case "reasoning":
                self._think(part, path, owned=owned)
            case "tool_call":
                self._call(part, path, owned=owned)
            case "opaque":
                self._put_back(part.opaque, path)
            case "image" if owned:
                self._join(state.item_id, {"result": encode_picture(part.image)}, path)
            case "audio":
                self._say({"type": "output_text", "text": part.audio.transcript}, b"")
            case kind:
                raise dialect.unsupported(path, f"the provider takes no {kind} here")

    def _say(self, content: Item, phase: bytes) -> None:
        word = phase.decode(errors="replace")
        if self._said is None or self._said[0] != word:
            said: list[object] = []
            item: Item = {"type": "message", "role": "assistant", "content": said}
            self._append({**item, "phase": word} if word else item)
            self._said = word, said
        self._said[1].append(content)

    def _append(self, item: object) -> None:
        self._said = None
        self.items.append(item)

    def _think(self, part: content_pb2.Part, path: str, *, owned: bool) -> None:
        if owned and part.provider_state.data and self._quirks.thinks(self._ask.model):
            self._append(_item(part.provider_state.data, path, without=OF_THE_ANSWER))
        else:
            self._ask.drop_state(path)

    def _call(self, part: content_pb2.Part, path: str, *, owned: bool) -> None:
        call, state = part.tool_call, part.provider_state.data if owned else b""
        if call.executor == content_pb2.TOOL_EXECUTOR_PROVIDER:
            self._call_hosted(call.call_id, state, path)
        elif state == FREE_TEXT:
            self._free_text.add(call.call_id)
            self._append(_called("custom_tool_call", call, {"input": call.arguments_json}))
        else:
            self._append(_called("function_call", call, {"arguments": call.arguments_json or "{}"}))

    def _call_hosted(self, call_id: str, state: bytes, path: str) -> None:
        if not state:
            self._ask.drop_state(path)
            return
        self._hosted[call_id] = _item(state, path)
        self._append(self._hosted[call_id])

    def _put_back(self, opaque: content_pb2.OpaquePart, path: str) -> None:
        if not self._ask.owns(opaque.provider, path):
            return
        if opaque.type.endswith(FOUND):
            found = opaque.json.encode()
            self._join(_id(found, path), _item(found, path, without=("id",)), path)
        else:
            self._append(dialect.raw(opaque.json))

    def _join(self, item_id: str, found: Item, path: str) -> None:
        if item_id in self._hosted:
            self._hosted[item_id].update(found)
        else:
            self._ask.drop_state(path)


def _called(type_: str, call: content_pb2.ToolCallPart, said: Item) -> Item:
    return {"type": type_, "call_id": call.call_id, "name": call.name, **said}


def _item(state: bytes, path: str, without: Collection[str] = ()) -> Item:
    fields = _read(FIELDS, state, path)
    return {name: orjson.Fragment(bytes(value)) for name, value in fields.items() if name not in without}


def _id(state: bytes, path: str) -> str:
    return _read(ITEM, state, path).id or ""


def _read(decoder: msgspec.json.Decoder[Shape], state: bytes, path: str) -> Shape:
    try:
        return decoder.decode(state)
    except (ValueError, RecursionError):
        raise invalid(f"input.{path}", "this is not what the provider gave") from None
