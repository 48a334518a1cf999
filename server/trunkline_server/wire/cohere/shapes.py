"""What is read of the provider's JSON. Fields that are not named here are skipped unread."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec

from trunkline_server.core.offered import Offered, tokens

Place: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=9999)]  # of a content block, a tool call or a citation

NOTHING: Final = msgspec.Raw(b"null")
ENDPOINTS: Final = frozenset({"chat", "embed", "rerank"})


class Shape(msgspec.Struct, gc=False):
    """Holds no cycles, so the collector need not look at it."""


class Words(Shape):
    """What is said or thought; a whole block, or what a delta adds to one."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None


class Function(Shape):
    """Of a tool call; streamed arguments come in fragments."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(Shape):
    """A tool call, or a fragment of one; only the first fragment has id and name."""

    id: str | None = None
    function: Function | None = None


class Source(Shape):
    """Where a citation comes from: a document, or what a tool answered. Both have whatever fields the caller chose."""

    document: object = None
    tool_output: object = None


class Citation(Shape):
    """A stretch of one content block that leans on sources; `type` names other places than the text."""

    start: float | None = None
    end: float | None = None
    type: str | None = None
    content_index: Place | None = None
    sources: list[Source] | None = None


class Logprobs(Shape):
    """How likely a piece of text was: its tokens, of which only the whole text is told."""

    text: str | None = None
    logprobs: list[float] | None = None


class BilledUnits(Shape):
    """What the provider charges for."""

    input_tokens: float | None = None
    output_tokens: float | None = None
    search_units: float | None = None
    images: float | None = None


class Tokens(Shape):
    """What the model read and wrote, with the provider's own instructions around it."""

    input_tokens: float | None = None
    output_tokens: float | None = None
    reasoning_tokens: float | None = None


class Usage(Shape):
    """Both counts. One of them may be missing, and both are where the answer failed."""

    billed_units: BilledUnits | None = None
    tokens: Tokens | None = None


class Message(Shape):
    """A whole answer's message."""

    content: str | list[msgspec.Raw] | None = None
    tool_plan: str | None = None
    tool_calls: list[ToolCall] | None = None
    citations: list[msgspec.Raw] | None = None


class End(Shape):
    """How an answer ended."""

    finish_reason: str | None = None
    usage: Usage | None = None
    error: str | None = None
    error_type: str | None = None


class Reply(End):
    """An answer in one piece. Inside status 200 it can also be an error."""

    id: str | None = None
    message: Message | str | None = None
    logprobs: list[Logprobs] | None = None


class Start(Shape):
    """The first event of a stream."""

    id: str | None = None


class MessageEnd(Shape):
    """The last event of a stream."""

    delta: End


class ContentDeltaMessage(Shape):
    """The message of a delta."""

    content: Words


class ContentDeltaBody(Shape):
    """What a delta adds."""

    message: ContentDeltaMessage


class ContentDelta(Shape):
    """More of the text or of the thoughts."""

    delta: ContentDeltaBody
    logprobs: Logprobs | None = None


class ContentStartMessage(Shape):
    """The message of a block's beginning."""

    content: msgspec.Raw


class ContentStartBody(Shape):
    """What a beginning adds."""

    message: ContentStartMessage


class ContentStart(Shape):
    """A content block begins."""

    delta: ContentStartBody


class Told(Shape):
    """What the message of one of the rarer events says; each is an object here, not a list."""

    tool_plan: str | None = None
    tool_calls: ToolCall | None = None
    citations: msgspec.Raw = NOTHING


class Change(Shape):
    """What one of the rarer events adds."""

    message: Told


class Event(Shape):
    """A tool plan, a tool call or a citation."""

    delta: Change
    index: Place = 0


class EventEnd(Shape):
    """A tool call is whole."""

    index: Place = 0


class AnyEvent(Shape):
    """An event that came without its name."""

    type: str = ""


class Error(Shape):
    """A body that says what went wrong."""

    message: str | None = None
    error_type: str | None = None


class Model(Shape):
    """An entry of the list of models, and what it can be asked to do."""

    name: str
    endpoints: list[str] | None = None
    context_length: float | None = None

    @property
    def offered(self) -> Offered:
        return Offered(self.name, context_window=tokens(self.context_length))

    @property
    def is_usable(self) -> bool:
        """Some only classify or summarise; where nothing is told, the model is given the benefit."""
        return self.endpoints is None or not ENDPOINTS.isdisjoint(self.endpoints)


class Models(Shape):
    """The list of models."""

    models: list[Model]


ANY_EVENT: Final = msgspec.json.Decoder(AnyEvent)
CITATION: Final = msgspec.json.Decoder(Citation)
CONTENT_DELTA: Final = msgspec.json.Decoder(ContentDelta)
CONTENT_START: Final = msgspec.json.Decoder(ContentStart)
ERROR: Final = msgspec.json.Decoder(Error)
EVENT: Final = msgspec.json.Decoder(Event)
EVENT_END: Final = msgspec.json.Decoder(EventEnd)
MESSAGE_END: Final = msgspec.json.Decoder(MessageEnd)
MODELS: Final = msgspec.json.Decoder(Models)
REPLY: Final = msgspec.json.Decoder(Reply)
START: Final = msgspec.json.Decoder(Start)
WORDS: Final = msgspec.json.Decoder(Words)
