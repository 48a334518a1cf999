"""Requests to `/v1/messages`, as far as they mean something here; whatever else they hold is passed over."""

from __future__ import annotations

from msgspec import Raw, Struct

from trunkline_server.edge.reading import Int32


class CacheControl(Struct):
    ttl: str | None = None


class Source(Struct):
    type: str
    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    content: str | list[Block] | None = None


class Block(Struct):
    """`source` is bare where a search found it."""

    type: str
    text: str = ""
    source: Source | str | None = None
    title: str | None = None
    context: str | None = None
    id: str = ""
    name: str = ""
    input: Raw = Raw()
    tool_use_id: str = ""
    content: str | list[Block] | None = None
    is_error: bool | None = None
    thinking: str = ""
    signature: str = ""
    data: str = ""
    cache_control: CacheControl | None = None


class Message(Struct):
    role: str
    content: str | list[Block]


class Tool(Struct):
    name: str
    type: str | None = None
    description: str | None = None
    input_schema: Raw = Raw()
    strict: bool | None = None
    cache_control: CacheControl | None = None


class Choice(Struct):
    type: str
    name: str = ""
    disable_parallel_tool_use: bool | None = None


class Thinking(Struct):
    type: str
    budget_tokens: Int32 | None = None


class Format(Struct):
    type: str
    schema: Raw = Raw()


class OutputConfig(Struct):
    effort: str | None = None
    format: Format | None = None


class Metadata(Struct):
    user_id: str | None = None


class Thread(Struct):
    """A conversation that the API keeps: this begins one, or continues behind one of its messages."""

    type: str
    previous_message_id: str = ""


class MessagesRequest(Struct):
    """`max_tokens` is left out when only tokens are counted."""

    model: str
    messages: list[Message]
    max_tokens: Int32 | None = None
    system: str | list[Block] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: Int32 | None = None
    stop_sequences: list[str] | None = None
    tools: list[Tool] | None = None
    tool_choice: Choice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    metadata: Metadata | None = None
    mcp_servers: list[Raw] | None = None
    thread: Thread | None = None
    trunkline: Raw = Raw()
