"""What is read of a provider's JSON. Fields that are not named here are skipped unread."""

from __future__ import annotations

from typing import Any, Final

import msgspec

NOTHING: Final = msgspec.Raw()


class Shape(msgspec.Struct, gc=False):
    """Holds no cycles, so the collector need not look at it."""


class Token(Shape):
    """How likely a token was, and what else might have stood there."""

    token: str = ""
    logprob: float | None = None
    top_logprobs: list[Token] | None = None


class Content(Shape):
    """A piece of a message, of thoughts, or of their summary."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[msgspec.Raw] | None = None
    logprobs: list[Token] | None = None


class Item(Shape):
    """One item of the output: the fields of all the kinds that are read."""

    type: str = ""
    id: str | None = None
    phase: str | None = None
    content: list[msgspec.Raw] | None = None
    summary: list[Content] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None


class Annotation(Shape):
    """A source of a text: a web page, or a place in a file."""

    type: str = ""
    url: str | None = None
    title: str | None = None
    filename: str | None = None
    index: float | None = None
    start_index: float | None = None
    end_index: float | None = None


class Action(Shape):
    """What a web search did: searched, or opened a page that it had found."""

    type: str = ""


class InputDetails(Shape):
    """Parts of the input."""

    cached_tokens: float | None = None
    cache_write_tokens: float | None = None


class OutputDetails(Shape):
    """Parts of the output."""

    reasoning_tokens: float | None = None


class ServerTools(Shape):
    """How often xAI's own tools were called."""

    web_search_calls: float | None = None
    x_search_calls: float | None = None
    file_search_calls: float | None = None
    document_search_calls: float | None = None


class Usage(Shape):
    """Token counts, and what else some servers count."""

    input_tokens: float | None = None
    output_tokens: float | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None
    num_sources_used: float | None = None
    server_side_tool_usage_details: ServerTools | None = None


class WebSearches(Shape):
    """Searches as OpenAI bills them."""

    num_requests: float | None = None


class ToolUsage(Shape):
    """What OpenAI's own tools did."""

    web_search: WebSearches | None = None


class Incomplete(Shape):
    """Why an answer broke off."""

    reason: str | None = None


class Response(Shape):
    """A whole answer; in a stream, what is known of it. Inside status 200 it can also be an error."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    output: list[msgspec.Raw] | None = None
    usage: Usage | None = None
    tool_usage: ToolUsage | None = None
    incomplete_details: Incomplete | None = None
    error: msgspec.Raw = NOTHING


class Event(Shape):
    """One event of a stream. What only some kinds carry stays unread until it is known which kind it is."""

    type: str = ""
    delta: Any = None
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    logprobs: msgspec.Raw = NOTHING
    item: msgspec.Raw = NOTHING
    annotation: msgspec.Raw = NOTHING
    response: msgspec.Raw = NOTHING
    error: msgspec.Raw = NOTHING


class Counted(Shape):
    """How many tokens an input has."""

    input_tokens: int


EVENT: Final = msgspec.json.Decoder(Event)
RESPONSE: Final = msgspec.json.Decoder(Response)
ITEM: Final = msgspec.json.Decoder(Item)
CONTENT: Final = msgspec.json.Decoder(Content)
TOKENS: Final = msgspec.json.Decoder(list[Token])
ANNOTATION: Final = msgspec.json.Decoder(Annotation)
ACTION: Final = msgspec.json.Decoder(Action)
FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
COUNTED: Final = msgspec.json.Decoder(Counted)
