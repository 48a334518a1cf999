"""What is read of a provider's JSON. Fields that are not named here are skipped unread."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec

Place: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=255)]  # of a candidate or a tool call


class Shape(msgspec.Struct, gc=False):
    """Holds no cycles, so the collector need not look at it."""


class Function(Shape):
    """Of a tool call; streamed arguments come in fragments."""

    name: str | None = None
    arguments: str | None = None


class Custom(Shape):
    """A call whose input is free text instead of JSON."""

    name: str | None = None
    input: str | None = None


class ToolCall(Shape):
    """A tool call or a fragment of one; only the first fragment has id and name."""

    index: Place | None = None
    id: str | None = None
    function: Function | None = None
    custom: Custom | None = None


class UrlCitation(Shape):
    """A web page that the text leans on."""

    url: str = ""
    title: str | None = None
    content: str | None = None
    start_index: float | None = None
    end_index: float | None = None


class Annotation(Shape):
    """A remark on the text; other kinds than citations have no `url_citation`."""

    url_citation: UrlCitation | None = None


class Audio(Shape):
    """Spoken answer, in base64; streamed in fragments."""

    id: str | None = None
    data: str | None = None
    transcript: str | None = None


class Block(Shape):
    """An entry of a content list, as some servers send it."""

    type: str = ""
    text: str | None = None
    thinking: str | list[Block] | None = None


class Said(Shape):
    """A message, or what a chunk adds to one."""

    content: str | list[msgspec.Raw] | None = None
    tool_calls: list[ToolCall] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[msgspec.Raw] | None = None
    refusal: str | None = None
    annotations: list[msgspec.Raw] | None = None
    audio: Audio | None = None
    function_call: Function | None = None


class Token(Shape):
    """How likely a token was, and what else might have stood there."""

    token: str = ""
    logprob: float | None = None
    top_logprobs: list[Token] | None = None


class Logprobs(Shape):
    """Tokens of the text, and of a refusal."""

    content: list[Token] | None = None
    refusal: list[Token] | None = None


class Choice(Shape):
    """One candidate. A filtered answer may come without any message."""

    index: Place = 0
    delta: Said | None = None
    message: Said | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class PromptDetails(Shape):
    """Parts of the input."""

    cached_tokens: float | None = None
    cache_write_tokens: float | None = None
    audio_tokens: float | None = None


class CompletionDetails(Shape):
    """Parts of the output."""

    reasoning_tokens: float | None = None
    audio_tokens: float | None = None


class Usage(Shape):
    """Token counts; some servers send them as floats."""

    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    num_sources_used: float | None = None


class Extension(Shape):
    """Where a server reports usage although nobody asked for it."""

    usage: Usage | None = None


class Reply(Shape):
    """A whole answer, or a chunk of a streamed one. Inside status 200 it can also be an error."""

    choices: list[Choice] | None = None
    usage: Usage | None = None
    error: object = None
    error_type: str | None = None
    id: str | None = None
    model: str | None = None
    x_groq: Extension | None = None


REPLY: Final = msgspec.json.Decoder(Reply)
BLOCK: Final = msgspec.json.Decoder(Block)
ANNOTATION: Final = msgspec.json.Decoder(Annotation)
