"""Spells what the model may call, and whether it must."""

from __future__ import annotations

from typing import Final

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire import dialect

MODES: Final = {
    content_pb2.TOOL_CHOICE_MODE_NONE: "NONE",
    content_pb2.TOOL_CHOICE_MODE_REQUIRED: "REQUIRED",
}


def encode_tools(ask: Ask) -> dict[str, object]:
    """The fields about tools. Where one of them must be called, it is the only one that the model is told of."""
    tools = _tools(ask)
    if not tools:
        return {}
    if ask.input.HasField("parallel_tool_calls") and not ask.input.parallel_tool_calls:
        ask.drop("parallel_tool_calls", "the provider cannot be kept from calling several tools at once")
    mode = "REQUIRED" if ask.input.tool_choice.tool_name else MODES.get(ask.input.tool_choice.mode)
    return {"tools": tools, **({"tool_choice": mode} if mode else {}), **_strict(ask)}


def _tools(ask: Ask) -> list[dict[str, object]]:
    tools: list[dict[str, object]] = []
    only = ask.input.tool_choice.tool_name
    for index, tool in enumerate(ask.input.tools):
        if tool.HasField("cache_hint"):
            ask.drop(f"tools[{index}].cache_hint", "the provider decides itself what it caches")
        if tool.HasField("hosted"):
            tools += _hosted(tool.hosted, ask, f"tools[{index}].hosted")
        elif only in ("", tool.function.name):
            tools.append({"type": "function", "function": _function(tool.function)})
    return tools


def _hosted(tool: content_pb2.HostedTool, ask: Ask, path: str) -> list[dict[str, object]]:
    if tool.provider == ask.provider:
        return [dialect.hosted(tool)]
    ask.drop(path, "another provider runs this tool")
    return []


def _function(wanted: content_pb2.FunctionTool) -> dict[str, object]:
    function: dict[str, object] = {"name": wanted.name}
    if wanted.description:
        function["description"] = wanted.description
    if wanted.parameters_json_schema:
        function["parameters"] = dialect.raw(wanted.parameters_json_schema)
    return function


def _strict(ask: Ask) -> dict[str, object]:
    """The provider holds the model to all of the schemas, or to none."""
    functions = [tool.function for tool in ask.input.tools if tool.HasField("function")]
    wanted = [function.strict for function in functions if function.HasField("strict")]
    if not any(wanted):
        return {}
    if len(wanted) == len(functions) and all(wanted):
        return {"strict_tools": True}
    ask.drop("tools", "the provider holds the model to all schemas of functions or to none; it was told none")
    return {}
