"""Requests to `/v1/responses`, as far as they mean something here."""

from __future__ import annotations

from msgspec import Raw, Struct

from trunkline_server.edge.reading import Int32


class Part(Struct):
    type: str = "input_text"
    text: str = ""
    refusal: str = ""
    image_url: str | None = None
    detail: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Summary(Struct):
    text: str = ""


class Item(Struct):
    """A message, a tool's call, a tool's result, or thoughts."""

    type: str = "message"
    role: str = ""
    content: str | list[Part] | None = None
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    output: str | list[Part] = ""
    summary: list[Summary] | None = None


class Tool(Struct):
    type: str
    name: str = ""
    description: str | None = None
    parameters: Raw = Raw()
    strict: bool | None = None


class Choice(Struct):
    type: str
    name: str = ""


class Format(Struct):
    type: str
    name: str = ""
    description: str | None = None
    schema: Raw = Raw()
    strict: bool | None = None


class Text(Struct):
    format: Format | None = None


class Reasoning(Struct):
    effort: str | None = None
    summary: str | None = None


class ResponseRequest(Struct):
    model: str
    input: str | list[Item]
    instructions: str | None = None
    stream: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: Raw = Raw()
    prompt: Raw = Raw()
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: Int32 | None = None
    tools: list[Tool] | None = None
    tool_choice: str | Choice | None = None
    parallel_tool_calls: bool | None = None
    text: Text | None = None
    reasoning: Reasoning | None = None
    metadata: dict[str, str] | None = None
    trunkline: Raw = Raw()
