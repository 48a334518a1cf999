"""Spells what the model may call."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import msgspec
import orjson

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire import dialect
from trunkline_server.wire.openai_chat.quirks import Quirks

FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def encode_tools(ask: Ask) -> list[dict[str, object]]:
    """Functions, and the provider's own tools; those of another provider are dropped."""
    tools: list[dict[str, object]] = []
    for index, tool in enumerate(ask.input.tools):
        if tool.HasField("function"):
            tools.append({"type": "function", "function": _function(tool.function)})
        elif tool.hosted.provider == ask.provider:
            tools.append(_hosted(tool.hosted))
        else:
            ask.drop(f"tools[{index}].hosted", "another provider runs this tool")
        if tool.HasField("cache_hint"):
            ask.drop(f"tools[{index}].cache_hint", "the provider decides itself what it caches")
    return tools


def _function(wanted: content_pb2.FunctionTool) -> dict[str, object]:
    function: dict[str, object] = {"name": wanted.name}
    if wanted.description:
        function["description"] = wanted.description
    if wanted.parameters_json_schema:
        function["parameters"] = dialect.raw(wanted.parameters_json_schema)
    if wanted.HasField("strict"):
        function["strict"] = wanted.strict
    return function


def _hosted(wanted: content_pb2.HostedTool) -> dict[str, object]:
    config = dialect.parse(FIELDS, (wanted.config_json or "{}").encode())
    said: dict[str, object] = {"type": wanted.type}
    return said | {name: orjson.Fragment(bytes(value)) for name, value in config.items()} | said


def encode_tool_choice(choice: content_pb2.ToolChoice, quirks: Quirks) -> object:
    """A word, or the one tool that must be called."""
    if choice.WhichOneof("kind") == "tool_name":
        return {"type": "function", "function": {"name": choice.tool_name}}
    if choice.mode == content_pb2.TOOL_CHOICE_MODE_NONE:
        return "none"
    return quirks.required_tool_choice if choice.mode == content_pb2.TOOL_CHOICE_MODE_REQUIRED else "auto"


def encode_call_id(call_id: str, quirks: Quirks) -> str:
    """The id as the server takes it: one of another shape is replaced, each time by the same."""
    chars = quirks.call_id_chars
    if not chars or (len(call_id) == chars and call_id.isascii() and call_id.isalnum()):
        return call_id
    return sha256(call_id.encode()).hexdigest()[:chars]
