"""Spells what the model said before: text, refusals, thoughts, speech, tool calls."""

from __future__ import annotations

from typing import Final

import msgspec
import orjson

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import invalid
from trunkline_server.wire.openai_chat.calls import FREE_TEXT
from trunkline_server.wire.openai_chat.parts import Content, content_of, encode_part, text_block
from trunkline_server.wire.openai_chat.quirks import Quirks
from trunkline_server.wire.openai_chat.tools import encode_call_id

BLOCKS: Final = msgspec.json.Decoder(list[msgspec.Raw])


def encode_assistant(message: content_pb2.Message, ask: Ask, quirks: Quirks, path: str) -> dict[str, object]:
    """One message, whatever the parts."""
    turn = _Turn(ask, quirks)
    for index, part in enumerate(message.parts):
        turn.add(part, f"{path}.parts[{index}]")
    return turn.spell()


class _Turn:
    """Sorts the parts into the fields of an assistant's message."""

    def __init__(self, ask: Ask, quirks: Quirks) -> None:
        self._ask = ask
        self._quirks = quirks
        self._content: list[Content] = []
        self._calls: list[dict[str, object]] = []
        self._blocks: list[orjson.Fragment] = []
        self._fields: dict[str, object] = {}

    def add(self, part: content_pb2.Part, path: str) -> None:
        owned = not part.HasField("provider_state") or self._ask.owns(part.provider_state.provider, path)
        match part.WhichOneof("kind"):
            case "reasoning":
                if owned:
                    self._add_thoughts(part, path)
            case "refusal":
                self._fields["refusal"] = str(self._fields.get("refusal", "")) + part.refusal.text
            case "tool_call":
                self._add_call(part, path, owned=owned)
            case "audio":
                self._add_speech(part, owned=owned)
            case "tool_result":
                self._ask.drop_state(path)
            case _:
                self._content += encode_part(part, self._ask, self._quirks, path)

    def spell(self) -> dict[str, object]:
        said: dict[str, object] = {"role": "assistant", "content": content_of(self._content) or None, **self._fields}
        if self._calls:
            said["tool_calls"] = self._calls
        if len(said) == 2 and said["content"] is None:
            said["content"] = ""  # an empty turn is only taken so
        return said

    def _add_thoughts(self, part: content_pb2.Part, path: str) -> None:
        field, blocks_field = self._quirks.thoughts_field, self._quirks.thought_blocks_field
        text = part.reasoning.text if field else ""
        state = part.provider_state.data if blocks_field else b""
        if text:
            self._fields[field] = str(self._fields.get(field, "")) + text
        if state:
            self._blocks += _blocks(state, path)
            self._fields[blocks_field] = self._blocks
        if not text and not state:
            self._ask.drop_state(path)

    def _add_call(self, part: content_pb2.Part, path: str, *, owned: bool) -> None:
        if part.tool_call.executor == content_pb2.TOOL_EXECUTOR_PROVIDER:
            self._ask.drop_state(path)
        elif owned and part.provider_state.data == FREE_TEXT:
            self._calls.append(_custom(part.tool_call))
        else:
            self._calls.append(_function(part.tool_call, self._quirks))

    def _add_speech(self, part: content_pb2.Part, *, owned: bool) -> None:
        if owned and part.provider_state.item_id:
            self._fields["audio"] = {"id": part.provider_state.item_id}
        else:
            self._content.append(text_block(part.audio.transcript))


def _blocks(state: bytes, path: str) -> list[orjson.Fragment]:
    try:
        return [orjson.Fragment(bytes(block)) for block in BLOCKS.decode(state)]
    except (ValueError, RecursionError):
        raise invalid(f"input.{path}.provider_state", "this is not what the provider gave") from None


def _function(call: content_pb2.ToolCallPart, quirks: Quirks) -> dict[str, object]:
    function = {"name": call.name, "arguments": call.arguments_json or "{}"}
    return {"id": encode_call_id(call.call_id, quirks), "type": "function", "function": function}


def _custom(call: content_pb2.ToolCallPart) -> dict[str, object]:
    return {"id": call.call_id, "type": "custom", "custom": {"name": call.name, "input": call.arguments_json}}
