"""Spells the conversation: one message of ours becomes one or several of the dialect."""

from __future__ import annotations

from typing import Final

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import invalid
from trunkline_server.wire.openai_chat.assistant import encode_assistant
from trunkline_server.wire.openai_chat.parts import Content, content_of, encode_part, plain_text
from trunkline_server.wire.openai_chat.quirks import Quirks
from trunkline_server.wire.openai_chat.results import encode_result

ROLES: Final = {
    content_pb2.ROLE_SYSTEM: "system",
    content_pb2.ROLE_DEVELOPER: "developer",
    content_pb2.ROLE_USER: "user",
    content_pb2.ROLE_ASSISTANT: "assistant",
}


def encode_messages(ask: Ask, quirks: Quirks) -> list[dict[str, object]]:
    """Oldest first."""
    conversation = _Conversation(ask, quirks)
    for index, message in enumerate(ask.input.messages):
        conversation.add(message, f"messages[{index}]")
    return conversation.end()


class _Conversation:
    """Grows by messages. Pictures that tools answered wait for the last of the results, then a user shows them."""

    def __init__(self, ask: Ask, quirks: Quirks) -> None:
        self._ask = ask
        self._quirks = quirks
        self._messages: list[dict[str, object]] = []
        self._pictures: list[Content] = []

    def add(self, message: content_pb2.Message, path: str) -> None:
        if (text := plain_text(message)) is not None:
            self._say({"role": self._role(message.role, path), "content": text}, self._name(message, path))
        elif message.role == content_pb2.ROLE_ASSISTANT:
            self._say(encode_assistant(message, self._ask, self._quirks, path), self._name(message, path))
        else:
            self._add_parts(message, path)

    def end(self) -> list[dict[str, object]]:
        if self._pictures:
            self._show_pictures()
        return self._messages

    def _add_parts(self, message: content_pb2.Message, path: str) -> None:
        content: list[Content] = []
        for index, part in enumerate(message.parts):
            place = f"{path}.parts[{index}]"
            if part.HasField("tool_result"):
                self._add_result(part.tool_result, place)
            else:
                content += encode_part(part, self._ask, self._quirks, place)
        if content:
            said = {"role": self._role(message.role, path), "content": content_of(content)}
            self._say(said, self._name(message, path))

    def _say(self, said: dict[str, object], name: str) -> None:
        if self._pictures:
            self._show_pictures()
        if name:
            said["name"] = name
        self._messages.append(said)

    def _add_result(self, result: content_pb2.ToolResultPart, path: str) -> None:
        message, pictures = encode_result(result, self._ask, self._quirks, path)
        self._messages.append(message)
        self._pictures += pictures

    def _show_pictures(self) -> None:
        self._messages.append({"role": "user", "content": self._pictures})
        self._pictures = []

    def _name(self, message: content_pb2.Message, path: str) -> str:
        if message.name and not self._quirks.speaker_names:
            self._ask.drop(f"{path}.name", "the provider takes no names of speakers")
            return ""
        return message.name

    def _role(self, role: content_pb2.Role.ValueType, path: str) -> str:
        if role not in ROLES:
            raise invalid(f"input.{path}", "a tool's message holds only tool results")
        if role == content_pb2.ROLE_DEVELOPER and not self._quirks.developer_role:
            return "system"
        return ROLES[role]
