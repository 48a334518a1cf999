"""Messages as providers know them: what a tool answered is a message of its own, not a part of what the model said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from trunkline.v1 import chat_pb2, content_pb2


def unfolded(input: chat_pb2.ChatInput) -> chat_pb2.ChatInput:
    """The question with the turns of the gateway's own rounds apart; itself, where there are none."""
    if not any(map(_is_folded, input.messages)):
        return input
    whole = chat_pb2.ChatInput()
    whole.CopyFrom(input)
    del whole.messages[:]
    whole.messages.extend(apart for message in input.messages for apart in _unfold(message))
    return whole


def _is_folded(message: content_pb2.Message) -> bool:
    return message.role == content_pb2.ROLE_ASSISTANT and any(map(_is_result, message.parts))


def _unfold(message: content_pb2.Message) -> Iterable[content_pb2.Message]:
    return _turns(message) if _is_folded(message) else (message,)


def _turns(message: content_pb2.Message) -> Iterator[content_pb2.Message]:
    for told_by_tools, parts in groupby(message.parts, _is_result):
        role = content_pb2.ROLE_TOOL if told_by_tools else content_pb2.ROLE_ASSISTANT
        yield content_pb2.Message(role=role, parts=parts, name="" if told_by_tools else message.name)


def _is_result(part: content_pb2.Part) -> bool:
    return part.HasField("tool_result")
