"""Spells the conversation: one message of ours becomes one or several items of the dialect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import invalid
from trunkline_server.wire import dialect
from trunkline_server.wire.openai_responses.assistant import encode_assistant
from trunkline_server.wire.openai_responses.parts import Content, content_of, encode_part
from trunkline_server.wire.openai_responses.quirks import Quirks
from trunkline_server.wire.openai_responses.results import encode_result

ROLES: Final = {
    content_pb2.ROLE_SYSTEM: "system",
    content_pb2.ROLE_DEVELOPER: "developer",
    content_pb2.ROLE_USER: "user",
}
IN_MESSAGES: Final = "input_"  # begins the types of blocks that stand in a message; all others are items


def encode_messages(ask: Ask, quirks: Quirks) -> Iterator[tuple[str, object]]:
    """A system's text that comes first is the instructions; then the items, oldest first."""
    conversation = _Conversation(ask, quirks)
    instructed = _is_instructions(ask.input.messages[0])
    if instructed:
        yield "instructions", content_of(encode_part(ask.input.messages[0].parts[0], ask, "messages[0].parts[0]"))
    for index, message in enumerate(ask.input.messages):
        if index or not instructed:
            conversation.add(message, f"messages[{index}]")
    yield "input", conversation.items


def _is_instructions(message: content_pb2.Message) -> bool:
    return message.role == content_pb2.ROLE_SYSTEM and len(message.parts) == 1 and not message.name


class _Conversation:
    """Grows by messages."""

    def __init__(self, ask: Ask, quirks: Quirks) -> None:
        self._ask = ask
        self._quirks = quirks
        self._free_text: set[str] = set()
        self.items: list[object] = []

    def add(self, message: content_pb2.Message, path: str) -> None:
        if message.name:
            self._ask.drop(f"{path}.name", "the provider takes no names of speakers")
        if message.role == content_pb2.ROLE_ASSISTANT:
            self.items += encode_assistant(message, self._ask, self._quirks, self._free_text, path)
            return
        content: list[Content] = []
        for index, part in enumerate(message.parts):
            place = f"{path}.parts[{index}]"
            if part.HasField("tool_result"):
                self._add_result(part.tool_result, place)
            elif part.HasField("opaque") and not part.opaque.type.startswith(IN_MESSAGES):
                self._add_opaque(part.opaque, place)
            else:
                content += encode_part(part, self._ask, place)
        if content:
            self.items.append({"role": self._role(message.role, path), "content": content_of(content)})

    def _add_result(self, result: content_pb2.ToolResultPart, path: str) -> None:
        kind = "custom_tool_call_output" if result.call_id in self._free_text else "function_call_output"
        output = encode_result(result, self._ask, path)
        self.items.append({"type": kind, "call_id": result.call_id, "output": output})

    def _add_opaque(self, opaque: content_pb2.OpaquePart, path: str) -> None:
        if self._ask.owns(opaque.provider, path):
            self.items.append(dialect.raw(opaque.json))

    def _role(self, role: content_pb2.Role.ValueType, path: str) -> str:
        if role not in ROLES:
            raise invalid(f"input.{path}", "a tool's message holds only tool results")
        if role == content_pb2.ROLE_DEVELOPER and not self._quirks.developer_role:
            return "system"
        return ROLES[role]
