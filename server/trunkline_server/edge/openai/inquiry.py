"""A request to `/v1/responses` as a question. Nothing is remembered, so what leans on memory is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.errors import invalid
from trunkline_server.edge.openai.items import Choice, Format, Item, Part, Reasoning, ResponseRequest, Tool
from trunkline_server.edge.openai.question import fill_schema
from trunkline_server.edge.openai.words import DETAILS, EFFORTS, MODES, ROLES
from trunkline_server.edge.reading import extended, fill_blob, raw_text, text, word


def question_of(request: ResponseRequest) -> chat_pb2.ChatInput:
    """Raises VALIDATION, with the path in the caller's own request."""
    _check_memory(request)
    input = extended(request.trunkline, request.model)
    if request.instructions:
        input.messages.add(role=content_pb2.ROLE_DEVELOPER, parts=[text(request.instructions)])
    input.messages.extend(_messages(request.input))
    for name in ("temperature", "top_p", "max_output_tokens"):
        if (value := getattr(request, name)) is not None:
            setattr(input.sampling, name, value)
    _fill_tools(input, request)
    if request.text is not None and request.text.format is not None:
        _fill_format(input, request.text.format)
    if request.reasoning is not None:
        _fill_reasoning(input.reasoning, request.reasoning)
    input.labels.update(request.metadata or {})
    return input


def _check_memory(request: ResponseRequest) -> None:
    if request.previous_response_id:
        raise invalid("previous_response_id", "responses are not kept: send the whole conversation")
    if raw_text(request.conversation):
        raise invalid("conversation", "is not kept: send the whole of it, or use ConversationService")
    if raw_text(request.prompt):
        raise invalid("prompt", "is not kept here: see trunkline.prompt")
    if request.background:
        raise invalid("background", "is not offered here")


def _messages(given: str | Sequence[Item]) -> Iterator[content_pb2.Message]:
    """Items of the model that stand in a row are one message, as they were when it said them."""
    if isinstance(given, str):
        yield content_pb2.Message(role=content_pb2.ROLE_USER, parts=[text(given)])
        return
    names: dict[str, str] = {}
    own: content_pb2.Message | None = None
    for index, item in enumerate(given):
        message = _message(item, names, f"input[{index}]")
        if message.role != content_pb2.ROLE_ASSISTANT:
            if own is not None:
                yield own
            own = None
            yield message
        elif own is None:
            own = message
        else:
            own.parts.extend(message.parts)
    if own is not None:
        yield own


def _message(item: Item, names: dict[str, str], path: str) -> content_pb2.Message:
    match item.type:
        case "message":
            role: Any = word(ROLES, item.role, f"{path}.role")
            return content_pb2.Message(role=role, parts=_parts(item.content, f"{path}.content") or [text("")])
        case "function_call":
            names[item.call_id] = item.name
            call = content_pb2.ToolCallPart(call_id=item.call_id, name=item.name, arguments_json=item.arguments)
            return _said(content_pb2.Part(tool_call=call))
        case "function_call_output":
            result = content_pb2.ToolResultPart(
                call_id=item.call_id, name=names.get(item.call_id, ""), parts=_parts(item.output, f"{path}.output")
            )
            return content_pb2.Message(role=content_pb2.ROLE_TOOL, parts=[content_pb2.Part(tool_result=result)])
        case "reasoning":
            thought = content_pb2.ReasoningPart(summaries=[each.text for each in item.summary or ()])
            return _said(content_pb2.Part(reasoning=thought))
        case _:
            raise invalid(f"{path}.type", "must be message, function_call, function_call_output or reasoning")


def _said(part: content_pb2.Part) -> content_pb2.Message:
    return content_pb2.Message(role=content_pb2.ROLE_ASSISTANT, parts=[part])


def _parts(content: str | Sequence[Part] | None, path: str) -> list[content_pb2.Part]:
    if content is None or isinstance(content, str):
        return [text(content)] if content else []
    return [_part(part, f"{path}[{index}]") for index, part in enumerate(content)]


def _part(part: Part, path: str) -> content_pb2.Part:
    made = content_pb2.Part()
    match part.type:
        case "input_text" | "output_text" | "text":
            made.text.text = part.text
        case "refusal":
            made.refusal.text = part.refusal
        case "input_image":
            _fill_source(made.image.blob, part.image_url, part, f"{path}.image_url")
            detail: Any = word(DETAILS, part.detail or "auto", f"{path}.detail")
            made.image.detail = detail
        case "input_file":
            _fill_source(made.document.blob, part.file_data or part.file_url, part, f"{path}.file_data")
            made.document.blob.filename = part.filename or ""
        case _:
            raise invalid(f"{path}.type", "must be input_text, input_image, input_file, output_text or refusal")
    return made


def _fill_source(blob: content_pb2.Blob, url: str | None, part: Part, path: str) -> None:
    if url:
        fill_blob(blob, url, path)
    else:
        blob.file_id = part.file_id or ""


def _fill_tools(input: chat_pb2.ChatInput, request: ResponseRequest) -> None:
    if not request.tools:
        return
    input.tools.extend(_tool(tool, f"tools[{index}]") for index, tool in enumerate(request.tools))
    if request.tool_choice is not None:
        _fill_choice(input.tool_choice, request.tool_choice)
    if request.parallel_tool_calls is not None:
        input.parallel_tool_calls = request.parallel_tool_calls


def _tool(tool: Tool, path: str) -> content_pb2.Tool:
    if tool.type != "function":
        raise invalid(f"{path}.type", "only functions are taken")
    function = content_pb2.FunctionTool(
        name=tool.name,
        description=tool.description or "",
        parameters_json_schema=raw_text(tool.parameters),
        strict=tool.strict,
    )
    return content_pb2.Tool(function=function)


def _fill_choice(choice: content_pb2.ToolChoice, given: str | Choice) -> None:
    if isinstance(given, str):
        mode: Any = word(MODES, given, "tool_choice")
        choice.mode = mode
    elif given.type != "function":
        raise invalid("tool_choice.type", "must be function")
    else:
        choice.tool_name = given.name


def _fill_format(input: chat_pb2.ChatInput, given: Format) -> None:
    if given.type == "json_object":
        input.output_format.json_object.SetInParent()
    elif given.type == "json_schema":
        fill_schema(input.output_format.json_schema, given)
    elif given.type != "text":
        raise invalid("text.format.type", "must be text, json_object or json_schema")


def _fill_reasoning(reasoning: chat_pb2.Reasoning, given: Reasoning) -> None:
    if given.effort is not None:
        effort: Any = word(EFFORTS, given.effort, "reasoning.effort")
        reasoning.effort = effort
    if given.summary is not None:
        reasoning.include_text = True
