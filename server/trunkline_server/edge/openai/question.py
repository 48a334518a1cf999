"""A request to `/v1/chat/completions` as a question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.errors import invalid
from trunkline_server.edge.openai.shapes import ChatRequest, Choice, Format, Message, Part, Tool
from trunkline_server.edge.openai.words import DETAILS, EFFORTS, MODES, ROLES
from trunkline_server.edge.reading import extended, fill_blob, raw_text, text, unbase64, word

_SAMPLING: Final = ("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "seed")


def question_of(request: ChatRequest) -> chat_pb2.ChatInput:
    """Raises VALIDATION, with the path in the caller's own request."""
    _check_offered(request)
    input = extended(request.trunkline, request.model)
    input.messages.extend(_Messages(request.messages).spelled())
    _fill_sampling(input.sampling, request)
    input.tools.extend(_tool(tool, f"tools[{index}]") for index, tool in enumerate(request.tools or ()))
    if request.tool_choice is not None and request.tools:
        _fill_choice(input.tool_choice, request.tool_choice)
    if request.parallel_tool_calls is not None and request.tools:
        input.parallel_tool_calls = request.parallel_tool_calls
    if request.response_format is not None:
        _fill_format(input, request.response_format)
    if request.reasoning_effort is not None:
        effort: Any = word(EFFORTS, request.reasoning_effort, "reasoning_effort")
        input.reasoning.effort = effort
    input.labels.update(request.metadata or {})
    return input


def _check_offered(request: ChatRequest) -> None:
    """What would be missed if it was passed over."""
    if request.functions:
        raise invalid("functions", "is not offered here: give them as tools")
    if "audio" in (request.modalities or ()):
        raise invalid("modalities", "answers are text: /v1/audio/speech speaks")
    if raw_text(request.web_search_options):
        raise invalid("web_search_options", "is not offered here")


class _Messages:
    """The conversation; a result is told the name of the tool that it comes from."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = messages
        self._tool_names: dict[str, str] = {}

    def spelled(self) -> Iterator[content_pb2.Message]:
        for index, message in enumerate(self._messages):
            path = f"messages[{index}]"
            role: Any = word(ROLES, message.role, f"{path}.role")
            parts = self._result(message, path) if message.role == "tool" else self._said(message, path)
            yield content_pb2.Message(role=role, parts=parts or [text("")], name=message.name or "")

    def _said(self, message: Message, path: str) -> list[content_pb2.Part]:
        parts = []
        if message.reasoning_content:
            parts.append(content_pb2.Part(reasoning=content_pb2.ReasoningPart(text=message.reasoning_content)))
        parts += _parts(message.content, path)
        if message.refusal:
            parts.append(content_pb2.Part(refusal=content_pb2.RefusalPart(text=message.refusal)))
        for place, call in enumerate(message.tool_calls or ()):
            if call.function is None:
                raise invalid(f"{path}.tool_calls[{place}]", "only calls of functions are taken")
            self._tool_names[call.id] = call.function.name
            called = content_pb2.ToolCallPart(
                call_id=call.id, name=call.function.name, arguments_json=call.function.arguments
            )
            parts.append(content_pb2.Part(tool_call=called))
        return parts

    def _result(self, message: Message, path: str) -> list[content_pb2.Part]:
        call_id = message.tool_call_id or ""
        result = content_pb2.ToolResultPart(
            call_id=call_id, name=self._tool_names.get(call_id, ""), parts=_parts(message.content, path)
        )
        return [content_pb2.Part(tool_result=result)]


def _parts(content: str | Sequence[Part] | None, path: str) -> list[content_pb2.Part]:
    if content is None or isinstance(content, str):
        return [text(content)] if content else []
    return [_part(part, f"{path}.content[{index}]") for index, part in enumerate(content)]


def _part(part: Part, path: str) -> content_pb2.Part:
    made = content_pb2.Part()
    if part.type == "text":
        made.text.text = part.text
    elif part.type == "refusal":
        made.refusal.text = part.refusal
    elif part.type == "image_url" and part.image_url is not None:
        fill_blob(made.image.blob, part.image_url.url, f"{path}.image_url.url")
        detail: Any = word(DETAILS, part.image_url.detail or "auto", f"{path}.image_url.detail")
        made.image.detail = detail
    elif part.type == "input_audio" and part.input_audio is not None:
        made.audio.blob.data = unbase64(part.input_audio.data, f"{path}.input_audio.data")
        made.audio.blob.media_type = f"audio/{part.input_audio.format}"
    elif part.type == "file" and part.file is not None:
        _fill_file(made.document.blob, part, path)
    else:
        raise invalid(f"{path}.type", "must be text, refusal, image_url, input_audio or file, with its content")
    return made


def _fill_file(blob: content_pb2.Blob, part: Part, path: str) -> None:
    file = part.file
    if file is None or not (file.file_data or file.file_id):
        raise invalid(f"{path}.file", "needs file_data or file_id")
    if file.file_data:
        fill_blob(blob, file.file_data, f"{path}.file.file_data")
    else:
        blob.file_id = file.file_id or ""
    blob.filename = file.filename or ""


def _fill_sampling(sampling: chat_pb2.Sampling, request: ChatRequest) -> None:
    for name in _SAMPLING:
        if (value := getattr(request, name)) is not None:
            setattr(sampling, name, value)
    longest = request.max_completion_tokens if request.max_completion_tokens is not None else request.max_tokens
    if longest is not None:
        sampling.max_output_tokens = longest
    if request.n is not None and request.n != 1:
        sampling.candidate_count = request.n
    if request.logprobs:
        sampling.top_logprobs = request.top_logprobs or 0
    stop = [request.stop] if isinstance(request.stop, str) else request.stop
    sampling.stop_sequences.extend(stop or ())


def _tool(tool: Tool, path: str) -> content_pb2.Tool:
    if tool.function is None:
        raise invalid(path, "only functions are taken")
    function = content_pb2.FunctionTool(
        name=tool.function.name,
        description=tool.function.description or "",
        parameters_json_schema=raw_text(tool.function.parameters),
        strict=tool.function.strict,
    )
    return content_pb2.Tool(function=function)


def _fill_choice(choice: content_pb2.ToolChoice, given: str | Choice) -> None:
    if isinstance(given, str):
        mode: Any = word(MODES, given, "tool_choice")
        choice.mode = mode
    elif given.function is None:
        raise invalid("tool_choice", "must be a mode or name a function")
    else:
        choice.tool_name = given.function.name


def _fill_format(input: chat_pb2.ChatInput, given: Format) -> None:
    if given.type == "json_object":
        input.output_format.json_object.SetInParent()
    elif given.type == "json_schema" and given.json_schema is not None:
        fill_schema(input.output_format.json_schema, given.json_schema)
    elif given.type != "text":
        raise invalid("response_format.type", "must be text, json_object or json_schema, with its schema")


def fill_schema(format: content_pb2.JsonSchemaFormat, given: Any) -> None:
    """A schema with its name, in either API."""
    format.name = given.name
    format.description = given.description or ""
    format.json_schema = raw_text(given.schema) or "{}"
    if given.strict is not None:
        format.strict = given.strict
