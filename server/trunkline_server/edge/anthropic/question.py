"""A request to `/v1/messages` as a question. Nothing is remembered, so what leans on memory is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.errors import invalid, not_found
from trunkline_server.edge.anthropic.blocks import Blocks, hint
from trunkline_server.edge.anthropic.shapes import Choice, MessagesRequest, OutputConfig, Thinking, Tool
from trunkline_server.edge.reading import extended, raw_text, text, word

ROLES: Final[Mapping[str, int]] = {
    "user": content_pb2.ROLE_USER,
    "assistant": content_pb2.ROLE_ASSISTANT,
    "system": content_pb2.ROLE_SYSTEM,
}
MODES: Final[Mapping[str, int]] = {
    "auto": content_pb2.TOOL_CHOICE_MODE_AUTO,
    "any": content_pb2.TOOL_CHOICE_MODE_REQUIRED,
    "none": content_pb2.TOOL_CHOICE_MODE_NONE,
}
EFFORTS: Final[Mapping[str, int]] = {
    "low": chat_pb2.REASONING_EFFORT_LOW,
    "medium": chat_pb2.REASONING_EFFORT_MEDIUM,
    "high": chat_pb2.REASONING_EFFORT_HIGH,
    "xhigh": chat_pb2.REASONING_EFFORT_HIGH,
    "max": chat_pb2.REASONING_EFFORT_HIGH,
}


def question_of(request: MessagesRequest) -> chat_pb2.ChatInput:
    """Raises VALIDATION, with the path in the caller's own request."""
    _check_memory(request)
    input = extended(request.trunkline, request.model)
    input.messages.extend(_messages(request))
    _fill_sampling(input.sampling, request)
    if request.tools:
        input.tools.extend(_tool(tool, f"tools[{index}]") for index, tool in enumerate(request.tools))
        if request.tool_choice is not None:
            _fill_choice(input, request.tool_choice)
    if request.thinking is not None:
        _fill_thinking(input.reasoning, request.thinking)
    if request.output_config is not None:
        _fill_output(input, request.output_config)
    if request.metadata is not None and request.metadata.user_id:
        input.labels["user_id"] = request.metadata.user_id
    return input


def _check_memory(request: MessagesRequest) -> None:
    """A client that continues a thread, and hears that there is none, sends the whole conversation."""
    if request.thread is not None and request.thread.type == "continue":
        raise not_found("thread", request.thread.previous_message_id)
    if request.mcp_servers:
        raise invalid("mcp_servers", "is not offered here: register the server, and name it in trunkline.tools")


def _messages(request: MessagesRequest) -> Iterator[content_pb2.Message]:
    blocks = Blocks()
    if request.system:
        yield content_pb2.Message(role=content_pb2.ROLE_SYSTEM, parts=blocks.parts(request.system, "system"))
    for index, message in enumerate(request.messages):
        path = f"messages[{index}]"
        role: Any = word(ROLES, message.role, f"{path}.role")
        parts: Sequence[content_pb2.Part] = blocks.parts(message.content, f"{path}.content")
        yield content_pb2.Message(role=role, parts=parts or [text("")])


def _fill_sampling(sampling: chat_pb2.Sampling, request: MessagesRequest) -> None:
    for name in ("temperature", "top_p", "top_k"):
        if (value := getattr(request, name)) is not None:
            setattr(sampling, name, value)
    if request.max_tokens is not None:
        sampling.max_output_tokens = request.max_tokens
    sampling.stop_sequences.extend(request.stop_sequences or ())


def _tool(tool: Tool, path: str) -> content_pb2.Tool:
    if tool.type not in (None, "custom"):
        raise invalid(f"{path}.type", "only custom tools are taken")
    function = content_pb2.FunctionTool(
        name=tool.name,
        description=tool.description or "",
        parameters_json_schema=raw_text(tool.input_schema),
        strict=tool.strict,
    )
    return content_pb2.Tool(function=function, cache_hint=hint(tool.cache_control))


def _fill_choice(input: chat_pb2.ChatInput, given: Choice) -> None:
    if given.type == "tool":
        input.tool_choice.tool_name = given.name
    else:
        mode: Any = word(MODES, given.type, "tool_choice.type")
        input.tool_choice.mode = mode
    if given.disable_parallel_tool_use is not None:
        input.parallel_tool_calls = not given.disable_parallel_tool_use


def _fill_thinking(reasoning: chat_pb2.Reasoning, given: Thinking) -> None:
    if given.type == "disabled":
        reasoning.effort = chat_pb2.REASONING_EFFORT_NONE
        return
    reasoning.include_text = True
    if given.budget_tokens is not None:
        reasoning.budget_tokens = given.budget_tokens


def _fill_output(input: chat_pb2.ChatInput, given: OutputConfig) -> None:
    if given.effort is not None:
        effort: Any = word(EFFORTS, given.effort, "output_config.effort")
        input.reasoning.effort = effort
    if given.format is not None:
        if given.format.type != "json_schema":
            raise invalid("output_config.format.type", "must be json_schema")
        input.output_format.json_schema.json_schema = raw_text(given.format.schema) or "{}"
