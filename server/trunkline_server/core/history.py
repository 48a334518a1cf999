"""The history of a conversation as a model gets it: whole turns, and no tool call without its result.

A turn begins where the user speaks, and goes on to where the user speaks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.estimate import CALL_TOKENS, input_tokens

TITLE_CHARS: Final = 60
LINE_CHARS: Final = 4000

_WHO: Final = {content_pb2.ROLE_USER: "user", content_pb2.ROLE_ASSISTANT: "assistant"}
_OF_TOOLS: Final = ("tool_call", "tool_result")
_INSTRUCTIONS: Final = (content_pb2.ROLE_SYSTEM, content_pb2.ROLE_DEVELOPER)


def size_tokens(message: content_pb2.Message) -> int:
    """Its part of a context window, as estimated."""
    return input_tokens(chat_pb2.ChatInput(messages=[message])) - CALL_TOKENS


def is_instruction(message: content_pb2.Message) -> bool:
    return message.role in _INSTRUCTIONS


def begins_turn(message: content_pb2.Message) -> bool:
    """The user speaks, and does not just bring the result of a tool."""
    return message.role == content_pb2.ROLE_USER and not any(part.HasField("tool_result") for part in message.parts)


def first_whole(begins: Sequence[bool], *, is_all: bool) -> int:
    """Where the first whole turn begins in the end of a history; its length where there is none.

    `is_all`: it is the whole history, so nothing is cut.
    """
    if is_all:
        return 0
    return next((index for index, begun in enumerate(begins) if begun), len(begins))


def call_ids(message: content_pb2.Message) -> set[str]:
    """The tool calls in it."""
    return {part.tool_call.call_id for part in message.parts if part.HasField("tool_call")}


def answers_calls(messages: Iterable[content_pb2.Message]) -> bool:
    """Whether there is a result of a tool call that came before these messages."""
    called: set[str] = set()
    for message in messages:
        for part in message.parts:
            if part.HasField("tool_call"):
                called.add(part.tool_call.call_id)
            elif part.HasField("tool_result") and part.tool_result.call_id not in called:
                return True
    return False


def sendable(history: Iterable[content_pb2.Message], new: Iterable[content_pb2.Message]) -> list[content_pb2.Message]:
    """The history without calls that nobody answered, results that answer nothing, and messages that say nothing.

    An answer that was broken off has such calls, and providers refuse them.
    """
    history = list(history)
    if not any(map(_is_about_tools, history)):
        return [message for message in history if message.parts]
    answered = {part.tool_result.call_id for message in (*history, *new) for part in message.parts}
    called: set[str] = set()
    sent = []
    for message in history:
        parts = [part for part in message.parts if _is_paired(part, called, answered)]
        if parts:
            is_same = len(parts) == len(message.parts)
            sent.append(message if is_same else _saying(message, parts))
    return sent


def _is_about_tools(message: content_pb2.Message) -> bool:
    for part in message.parts:  # noqa: SIM110 - a generator costs more than all that it looks at
        if part.WhichOneof("kind") in _OF_TOOLS:
            return True
    return False


def _is_paired(part: content_pb2.Part, called: set[str], answered: set[str]) -> bool:
    if part.HasField("tool_call"):
        called.add(part.tool_call.call_id)
        return part.tool_call.call_id in answered or part.tool_call.executor == content_pb2.TOOL_EXECUTOR_PROVIDER
    return not part.HasField("tool_result") or part.tool_result.call_id in called


def _saying(message: content_pb2.Message, parts: Iterable[content_pb2.Part]) -> content_pb2.Message:
    return content_pb2.Message(role=message.role, parts=parts, name=message.name)


def title_of(messages: Iterable[content_pb2.Message]) -> str:
    """The first words of the first message of the user; empty where it has none."""
    for message in messages:
        if message.role == content_pb2.ROLE_USER:
            return shortened(words(message))
    return ""


def words(message: content_pb2.Message) -> str:
    """Its texts alone."""
    return " ".join(part.text.text for part in message.parts if part.text.text)


def transcript(messages: Iterable[content_pb2.Message]) -> str:
    """Who said what, a message a line; long ones are cut."""
    return "\n".join(f"{_WHO.get(each.role, 'tool')}: {words(each)[:LINE_CHARS]}" for each in messages)


def shortened(text: str) -> str:
    """On one line, and no longer than a title; cut between words where that is possible."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: TITLE_CHARS * 8]).split())
    if len(line) <= TITLE_CHARS:
        return line
    head = line[:TITLE_CHARS]
    return (head.rpartition(" ")[0] or head) + "…"
