"""Spells what the model may call. The dialect has no word for whether it must."""

from __future__ import annotations

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire import dialect


def encode_tools(ask: Ask) -> list[dict[str, object]]:
    """The tools; none where the model is to call none."""
    choice = ask.input.tool_choice
    if choice.mode == content_pb2.TOOL_CHOICE_MODE_NONE:
        return []
    if choice.tool_name or choice.mode == content_pb2.TOOL_CHOICE_MODE_REQUIRED:
        ask.drop("tool_choice", "the model cannot be forced to call a tool; it decides")
    if ask.input.HasField("parallel_tool_calls") and not ask.input.parallel_tool_calls:
        ask.drop("parallel_tool_calls", "the model cannot be kept from calling several tools at once")
    return [
        spelled for index, tool in enumerate(ask.input.tools) for spelled in _encode_tool(tool, ask, f"tools[{index}]")
    ]


def _encode_tool(tool: content_pb2.Tool, ask: Ask, path: str) -> list[dict[str, object]]:
    if tool.HasField("cache_hint"):
        ask.drop(f"{path}.cache_hint", "the provider decides itself what it caches")
    if tool.HasField("function"):
        return [{"type": "function", "function": _function(tool.function, ask, path)}]
    if tool.hosted.provider == ask.provider:
        return [dialect.hosted(tool.hosted)]
    ask.drop(f"{path}.hosted", "another provider runs this tool")
    return []


def _function(wanted: content_pb2.FunctionTool, ask: Ask, path: str) -> dict[str, object]:
    if wanted.strict:
        ask.drop(f"{path}.function.strict", "the model cannot be held to the schema")
    function: dict[str, object] = {"name": wanted.name}
    if wanted.description:
        function["description"] = wanted.description
    if wanted.parameters_json_schema:
        function["parameters"] = dialect.raw(wanted.parameters_json_schema)
    return function
