"""What the model may call, and whether it must."""

from __future__ import annotations

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire.anthropic.cache import mark
from trunkline_server.wire.anthropic.fields import fields_of
from trunkline_server.wire.anthropic.models import ModelFacts
from trunkline_server.wire.dialect import raw

NO_ARGUMENTS = '{"type":"object","properties":{}}'


def encode_tools(ask: Ask) -> list[dict[str, object]]:
    """The tools, without those that another provider runs."""
    tools: list[dict[str, object]] = []
    for index, tool in enumerate(ask.input.tools):
        path = f"tools[{index}]"
        if tool.HasField("hosted") and tool.hosted.provider != ask.provider:
            ask.drop(path, "runs at another provider")
            continue
        spelled = _hosted(tool.hosted, path) if tool.HasField("hosted") else _function(tool.function)
        tools.append(mark(ask, spelled, tool, path))
    return tools


def encode_tool_choice(ask: Ask, facts: ModelFacts) -> dict[str, object]:
    """The choice; empty where the provider's default is meant."""
    choice = _choice(ask, facts)
    if ask.input.HasField("parallel_tool_calls") and not ask.input.parallel_tool_calls and choice.get("type") != "none":
        return {"type": "auto", **choice, "disable_parallel_tool_use": True}
    return choice


def _choice(ask: Ask, facts: ModelFacts) -> dict[str, object]:
    chosen = ask.input.tool_choice
    if chosen.mode == content_pb2.TOOL_CHOICE_MODE_AUTO:
        return {"type": "auto"}
    if chosen.mode == content_pb2.TOOL_CHOICE_MODE_NONE:
        return {"type": "none"}
    forced = _forced(chosen)
    if forced and facts.always_thinks:
        ask.adjust("tool_choice", "the model cannot be forced to call a tool; it decides")
        return {"type": "auto"}
    return forced


def _forced(chosen: content_pb2.ToolChoice) -> dict[str, object]:
    if chosen.tool_name:
        return {"type": "tool", "name": chosen.tool_name}
    return {"type": "any"} if chosen.mode == content_pb2.TOOL_CHOICE_MODE_REQUIRED else {}


def _function(function: content_pb2.FunctionTool) -> dict[str, object]:
    spelled: dict[str, object] = {"name": function.name}
    if function.description:
        spelled["description"] = function.description
    spelled["input_schema"] = raw(function.parameters_json_schema or NO_ARGUMENTS)
    if function.HasField("strict"):
        spelled["strict"] = function.strict
    return spelled


def _hosted(hosted: content_pb2.HostedTool, path: str) -> dict[str, object]:
    said: dict[str, object] = {"type": hosted.type}
    return said | fields_of(hosted.config_json, f"{path}.hosted.config_json") | said
