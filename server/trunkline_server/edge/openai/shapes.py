"""Requests to `/v1/chat/completions`, as far as they mean something here; whatever else they hold is passed over."""

from __future__ import annotations

from msgspec import Raw, Struct

from trunkline_server.edge.reading import Int32, Int64


class ImageUrl(Struct):
    url: str
    detail: str | None = None


class InputAudio(Struct):
    data: str
    format: str


class File(Struct):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Part(Struct):
    type: str
    text: str = ""
    refusal: str = ""
    image_url: ImageUrl | None = None
    input_audio: InputAudio | None = None
    file: File | None = None


class CalledFunction(Struct):
    name: str
    arguments: str = ""


class ToolCall(Struct):
    id: str
    function: CalledFunction | None = None


class Message(Struct):
    role: str
    content: str | list[Part] | None = None
    name: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class Function(Struct):
    name: str
    description: str | None = None
    parameters: Raw = Raw()
    strict: bool | None = None


class Tool(Struct):
    type: str = "function"
    function: Function | None = None


class ChosenFunction(Struct):
    name: str


class Choice(Struct):
    type: str = "function"
    function: ChosenFunction | None = None


class Schema(Struct):
    name: str = ""
    description: str | None = None
    schema: Raw = Raw()
    strict: bool | None = None


class Format(Struct):
    type: str
    json_schema: Schema | None = None


class StreamOptions(Struct):
    include_usage: bool | None = None


class ChatRequest(Struct):
    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: Int32 | None = None
    n: Int32 | None = None
    max_tokens: Int32 | None = None
    max_completion_tokens: Int32 | None = None
    stop: str | list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: Int64 | None = None
    logprobs: bool | None = None
    top_logprobs: Int32 | None = None
    tools: list[Tool] | None = None
    tool_choice: str | Choice | None = None
    parallel_tool_calls: bool | None = None
    response_format: Format | None = None
    reasoning_effort: str | None = None
    metadata: dict[str, str] | None = None
    functions: list[Raw] | None = None
    modalities: list[str] | None = None
    web_search_options: Raw = Raw()
    trunkline: Raw = Raw()
