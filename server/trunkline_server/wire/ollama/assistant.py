"""Spells what the model said before: text, thoughts, pictures, tool calls."""

from __future__ import annotations

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire import dialect
from trunkline_server.wire.ollama.parts import Content, add_part


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
        self._content = Content()
        self._thoughts = ""
        self._calls: list[dict[str, object]] = []

    def add(self, part: content_pb2.Part, path: str) -> None:
        owned = not part.HasField("provider_state") or self._ask.owns(part.provider_state.provider, path)
        match part.WhichOneof("kind"):
            case "reasoning":
                if owned:
                    self._add_thoughts(part.reasoning, path)
            case "refusal":
                self._content.texts.append(part.refusal.text)
            case "audio" if part.audio.transcript:
                self._content.texts.append(part.audio.transcript)
            case "tool_call":
                self._add_call(part.tool_call, path)
            case "tool_result":
                self._ask.drop_state(path)
            case _:
                add_part(self._content, part, self._ask, path)

    def spell(self) -> dict[str, object]:
        """The parts of a text that was said in one go follow each other without a gap."""
        said: dict[str, object] = {"role": "assistant", **self._content.spell("")}
        if self._thoughts:
            said["thinking"] = self._thoughts
        if self._calls:
            said["tool_calls"] = self._calls
        return said

    def _add_thoughts(self, reasoning: content_pb2.ReasoningPart, path: str) -> None:
        if not reasoning.text:
            self._ask.drop_state(path)
        self._thoughts += reasoning.text

    def _add_call(self, call: content_pb2.ToolCallPart, path: str) -> None:
        if call.executor == content_pb2.TOOL_EXECUTOR_PROVIDER:
            self._ask.drop_state(path)
        else:
            function = {"name": call.name, "arguments": dialect.arguments(call)}
            self._calls.append({"id": call.call_id, "function": function})
