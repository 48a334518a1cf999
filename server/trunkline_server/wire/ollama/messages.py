"""Spells the conversation: one message of ours becomes one or several of the dialect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import invalid
from trunkline_server.wire.ollama.assistant import encode_assistant
from trunkline_server.wire.ollama.parts import Content, add_part
from trunkline_server.wire.ollama.results import encode_result

ROLES: Final = {
    content_pb2.ROLE_SYSTEM: "system",
    content_pb2.ROLE_DEVELOPER: "system",
    content_pb2.ROLE_USER: "user",
}


def encode_messages(ask: Ask) -> list[dict[str, object]]:
    """Oldest first. A result must say the name of its tool again."""
    parts = [part for message in ask.input.messages for part in message.parts]
    names = {part.tool_call.call_id: part.tool_call.name for part in parts if part.HasField("tool_call")}
    return [
        spelled
        for index, message in enumerate(ask.input.messages)
        for spelled in _encode_message(message, ask, names, f"messages[{index}]")
    ]


def _encode_message(
    message: content_pb2.Message, ask: Ask, names: Mapping[str, str], path: str
) -> Iterator[dict[str, object]]:
    if message.name:
        ask.drop(f"{path}.name", "the provider takes no names of speakers")
    if message.role == content_pb2.ROLE_ASSISTANT:
        yield encode_assistant(message, ask, path)
        return
    content = Content()
    for index, part in enumerate(message.parts):
        place = f"{path}.parts[{index}]"
        if part.HasField("tool_result"):
            yield encode_result(part.tool_result, ask, names, place)
        else:
            add_part(content, part, ask, place)
    if content.texts or content.images:
        yield {"role": _role(message.role, path), **content.spell()}


def _role(role: content_pb2.Role.ValueType, path: str) -> str:
    if role not in ROLES:
        raise invalid(f"input.{path}", "a tool's message holds only tool results")
    return ROLES[role]
