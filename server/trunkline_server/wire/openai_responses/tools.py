"""Spells what the model may call."""

from __future__ import annotations

from typing import Final

import orjson

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire import dialect
from trunkline_server.wire.openai_responses.shapes import FIELDS

NO_ARGUMENTS: Final = '{"type":"object","properties":{}}'
MODES: Final = {
    content_pb2.TOOL_CHOICE_MODE_NONE: "none",
    content_pb2.TOOL_CHOICE_MODE_REQUIRED: "required",
}


def encode_tools(ask: Ask) -> list[dict[str, object]]:
    """Functions, and the provider's own tools; those of another provider are dropped."""
    tools: list[dict[str, object]] = []
    for index, tool in enumerate(ask.input.tools):
        if tool.HasField("function"):
            tools.append(_function(tool.function))
        elif tool.hosted.provider == ask.provider:
            tools.append(_hosted(tool.hosted))
        else:
            ask.drop(f"tools[{index}].hosted", "another provider runs this tool")
        if tool.HasField("cache_hint"):
            ask.drop(f"tools[{index}].cache_hint", "the provider decides itself what it caches")
    return tools


def _function(wanted: content_pb2.FunctionTool) -> dict[str, object]:
    """The dialect's default is strict, which every other one's is not: so it is always said."""
    function: dict[str, object] = {"type": "function", "name": wanted.name}
    if wanted.description:
        function["description"] = wanted.description
    function["parameters"] = dialect.raw(wanted.parameters_json_schema or NO_ARGUMENTS)
    function["strict"] = wanted.strict
    return function


def _hosted(wanted: content_pb2.HostedTool) -> dict[str, object]:
    config = dialect.parse(FIELDS, (wanted.config_json or "{}").encode())
    said: dict[str, object] = {"type": wanted.type}
    return said | {name: orjson.Fragment(bytes(value)) for name, value in config.items()} | said


def encode_tool_choice(choice: content_pb2.ToolChoice) -> object:
    """A word, or the one tool that must be called."""
    if choice.WhichOneof("kind") == "tool_name":
        return {"type": "function", "name": choice.tool_name}
    return MODES.get(choice.mode, "auto")
