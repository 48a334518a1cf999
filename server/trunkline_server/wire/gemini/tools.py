"""Spells which tools there are, and which of them the model may call."""

from __future__ import annotations

from typing import Final

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire.dialect import raw

MODES: Final = {
    content_pb2.TOOL_CHOICE_MODE_AUTO: "AUTO",
    content_pb2.TOOL_CHOICE_MODE_NONE: "NONE",
    content_pb2.TOOL_CHOICE_MODE_REQUIRED: "ANY",
}
STRICT: Final = "VALIDATED"


def encode_tools(ask: Ask) -> list[object]:
    """All functions in one entry, where the first of them stood; each hosted tool in one of its own."""
    functions: list[object] = []
    tools: list[object] = []
    for number, tool in enumerate(ask.input.tools):
        path = f"tools[{number}]"
        if tool.HasField("cache_hint"):
            ask.drop(f"{path}.cache_hint", "this provider decides itself what it caches")
        if tool.WhichOneof("kind") == "hosted":
            tools += encode_hosted(ask, tool.hosted, path)
        else:
            if not functions:
                tools.append({"functionDeclarations": functions})
            functions.append(encode_function(tool.function))
    return tools


def encode_function(function: content_pb2.FunctionTool) -> dict[str, object]:
    """The schema goes in as JSON Schema, not as the provider's own dialect of it."""
    declared: dict[str, object] = {"name": function.name, "description": function.description}
    if function.parameters_json_schema:
        declared["parametersJsonSchema"] = raw(function.parameters_json_schema)
    return declared


def encode_hosted(ask: Ask, hosted: content_pb2.HostedTool, path: str) -> list[object]:
    """The provider's own tool; another provider's is left out."""
    if hosted.provider != ask.provider:
        ask.drop(path, f"a tool of {hosted.provider!r} cannot run here")
        return []
    return [{hosted.type: raw(hosted.config_json)}]


def encode_choice(ask: Ask) -> dict[str, object]:
    """Which tools the model calls; strict functions are held to their schemas where it decides itself."""
    if ask.input.HasField("parallel_tool_calls") and not ask.input.parallel_tool_calls:
        ask.drop("parallel_tool_calls", "this provider cannot be kept from calling several tools at once")
    choice = ask.input.tool_choice
    if choice.WhichOneof("kind") == "tool_name":
        return _config("ANY", [choice.tool_name])
    mode = MODES.get(choice.mode, "")
    return _config(STRICT if mode in ("", "AUTO") and _is_strict(ask.input) else mode)


def _is_strict(input_: chat_pb2.ChatInput) -> bool:
    return any(tool.function.strict for tool in input_.tools)


def _config(mode: str, names: list[str] | None = None) -> dict[str, object]:
    if not mode:
        return {}
    return {"functionCallingConfig": {"mode": mode, **({"allowedFunctionNames": names} if names else {})}}
