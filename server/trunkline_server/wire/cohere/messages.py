"""Spells the conversation: one message of ours becomes one or several of the dialect; documents lie beside it."""

from __future__ import annotations

from typing import Final

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import invalid
from trunkline_server.wire.cohere.assistant import encode_assistant
from trunkline_server.wire.cohere.parts import Content, content_of, drop_cache_hint, encode_document, encode_part
from trunkline_server.wire.cohere.results import encode_result

ROLES: Final = {
    content_pb2.ROLE_SYSTEM: "system",
    content_pb2.ROLE_DEVELOPER: "system",
    content_pb2.ROLE_USER: "user",
}


def encode_messages(ask: Ask) -> dict[str, object]:
    """The fields `messages`, oldest first, and `documents`, where there are some."""
    conversation = _Conversation(ask)
    for index, message in enumerate(ask.input.messages):
        conversation.add(message, f"messages[{index}]")
    return conversation.end()


class _Conversation:
    """Grows by messages. Pictures that tools answered wait for the last of the results, then a user shows them."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._messages: list[dict[str, object]] = []
        self._documents: list[dict[str, object]] = []
        self._pictures: list[Content] = []

    def add(self, message: content_pb2.Message, path: str) -> None:
        if message.name:
            self._ask.drop(f"{path}.name", "the provider takes no names of speakers")
        if message.role == content_pb2.ROLE_ASSISTANT:
            self._say(encode_assistant(message, self._ask, path))
            return
        content: list[Content] = []
        for index, part in enumerate(message.parts):
            content += self._content(part, f"{path}.parts[{index}]")
        if content:
            self._say({"role": _role(message.role, path), "content": content_of(content)})

    def end(self) -> dict[str, object]:
        self._show_pictures()
        documents = {"documents": self._documents} if self._documents else {}
        return {"messages": self._messages, **documents}

    def _content(self, part: content_pb2.Part, path: str) -> list[Content]:
        if part.HasField("tool_result"):
            result, pictures = encode_result(part.tool_result, self._ask, path)
            self._messages.append(result)
            self._pictures += pictures
            return []
        if part.HasField("document"):
            drop_cache_hint(part, self._ask, path)
            self._documents.append(encode_document(part.document, path))
            return []
        return encode_part(part, self._ask, path)

    def _say(self, said: dict[str, object]) -> None:
        self._show_pictures()
        self._messages.append(said)

    def _show_pictures(self) -> None:
        if self._pictures:
            self._messages.append({"role": "user", "content": self._pictures})
            self._pictures = []


def _role(role: content_pb2.Role.ValueType, path: str) -> str:
    if role not in ROLES:
        raise invalid(f"input.{path}", "a tool's message holds only tool results")
    return ROLES[role]
