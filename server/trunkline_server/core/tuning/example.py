"""An example as a line of a dataset: what was said, in the words that all providers train on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import orjson

from trunkline.v1 import content_pb2

_ROLES: Final = {
    content_pb2.ROLE_SYSTEM: "system",
    content_pb2.ROLE_DEVELOPER: "system",
    content_pb2.ROLE_USER: "user",
    content_pb2.ROLE_ASSISTANT: "assistant",
    content_pb2.ROLE_TOOL: "tool",
}
_THOUGHTS: Final = frozenset(("reasoning",))
"""They are the model's own, and are not learned."""


def line_of(messages: Sequence[content_pb2.Message], tools: Sequence[content_pb2.Tool] = ()) -> bytes | None:
    """The line, up to the last answer; None where nobody answers, or there is more than text and functions."""
    answered = [place for place, message in enumerate(messages) if message.role == content_pb2.ROLE_ASSISTANT]
    if not answered or any(tool.WhichOneof("kind") != "function" for tool in tools):
        return None
    spelled: list[dict[str, object]] = []
    for message in messages[: answered[-1] + 1]:
        said = _said(message)
        if said is None:
            return None
        spelled += said
    example: dict[str, object] = {"messages": spelled}
    if tools:
        example["tools"] = [_tool(tool.function) for tool in tools]
    return orjson.dumps(example) + b"\n"


def _said(message: content_pb2.Message) -> list[dict[str, object]] | None:
    """A message of ours is one of theirs, or one for each result of a tool."""
    parts = [part for part in message.parts if part.WhichOneof("kind") not in _THOUGHTS]
    kinds = {part.WhichOneof("kind") for part in parts}
    role = _ROLES.get(message.role)
    if role is None or not parts:
        return None
    if kinds == {"tool_result"}:
        return _results(part.tool_result for part in parts)
    if not kinds <= ({"text", "tool_call"} if role == "assistant" else {"text"}):
        return None
    told: dict[str, object] = {"role": role}
    if text := "".join(part.text.text for part in parts):
        told["content"] = text
    if calls := [_call(part.tool_call) for part in parts if part.WhichOneof("kind") == "tool_call"]:
        told["tool_calls"] = calls
    return [told] if len(told) > 1 else None


def _results(results: Iterable[content_pb2.ToolResultPart]) -> list[dict[str, object]] | None:
    told: list[dict[str, object]] = []
    for result in results:
        if any(part.WhichOneof("kind") != "text" for part in result.parts):
            return None
        content = result.structured_json or "".join(part.text.text for part in result.parts)
        told.append({"role": "tool", "tool_call_id": result.call_id, "content": content})
    return told


def _call(call: content_pb2.ToolCallPart) -> dict[str, object]:
    function = {"name": call.name, "arguments": call.arguments_json or "{}"}
    return {"id": call.call_id, "type": "function", "function": function}


def _tool(function: content_pb2.FunctionTool) -> dict[str, object]:
    told: dict[str, object] = {"name": function.name, "description": function.description}
    if function.parameters_json_schema:
        told["parameters"] = orjson.Fragment(function.parameters_json_schema)
    return {"type": "function", "function": told}
