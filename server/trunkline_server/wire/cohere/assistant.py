"""Spells what the model said before: text, thoughts, plans, tool calls, and the citations of what is no text."""

from __future__ import annotations

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire import dialect
from trunkline_server.wire.cohere.parts import Content, content_of, encode_part, text_block
from trunkline_server.wire.cohere.said import CITATION, PLAN


def encode_assistant(message: content_pb2.Message, ask: Ask, path: str) -> dict[str, object]:
    """One message, whatever the parts."""
    turn = _Turn(ask)
    for index, part in enumerate(message.parts):
        turn.add(part, f"{path}.parts[{index}]")
    return turn.spell()


class _Turn:
    """Sorts the parts into the fields of an assistant's message."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._content: list[Content] = []
        self._plan = ""
        self._calls: list[dict[str, object]] = []
        self._citations: list[object] = []

    def add(self, part: content_pb2.Part, path: str) -> None:
        owned = not part.HasField("provider_state") or self._ask.owns(part.provider_state.provider, path)
        match part.WhichOneof("kind"):
            case "reasoning":
                if owned:
                    self._add_thoughts(part, path)
            case "refusal":
                self._content.append(text_block(part.refusal.text))
            case "audio" if part.audio.transcript:
                self._content.append(text_block(part.audio.transcript))
            case "tool_call":
                self._add_call(part.tool_call, path)
            case "tool_result":
                self._ask.drop_state(path)
            case "opaque" if part.opaque.type == CITATION and self._ask.owns(part.opaque.provider, path):
                self._citations.append(dialect.raw(part.opaque.json))
            case _:
                self._content += encode_part(part, self._ask, path)

    def spell(self) -> dict[str, object]:
        told = {
            "content": content_of(self._content) if self._content else "",
            "tool_plan": self._plan,
            "tool_calls": self._calls,
            "citations": self._citations,
        }
        said = {field: value for field, value in told.items() if value}
        return {"role": "assistant", **(said or {"content": ""})}

    def _add_thoughts(self, part: content_pb2.Part, path: str) -> None:
        if not part.reasoning.text:
            self._ask.drop_state(path)
        elif part.provider_state.data == PLAN:
            self._plan += part.reasoning.text
        else:
            self._content.append({"type": "thinking", "thinking": part.reasoning.text})

    def _add_call(self, call: content_pb2.ToolCallPart, path: str) -> None:
        if call.executor == content_pb2.TOOL_EXECUTOR_PROVIDER:
            self._ask.drop_state(path)
            return
        function = {"name": call.name, "arguments": call.arguments_json or "{}"}
        self._calls.append({"id": call.call_id, "type": "function", "function": function})
