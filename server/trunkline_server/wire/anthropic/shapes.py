"""What is read of the Messages API: only the fields that are used, tolerant of null and of everything else."""

from __future__ import annotations

from typing import Final

import msgspec

from trunkline_server.core.offered import Offered, tokens


class Caller(msgspec.Struct):
    """Who asks for a tool: the model directly, or code that it runs."""

    type: str | None = None


class Block(msgspec.Struct):
    """A content block, as it starts in a stream or whole."""

    type: str
    text: str | None = None
    citations: list[msgspec.Raw] | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"{}")
    caller: Caller | None = None


class Delta(msgspec.Struct):
    """What is added to a block."""

    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: msgspec.Raw = msgspec.Raw(b"")


class Citation(msgspec.Struct):
    """A source of a text; the names of its fields depend on the kind of source."""

    cited_text: str | None = None
    title: str | None = None
    document_title: str | None = None
    url: str | None = None
    source: str | None = None


class OutputDetails(msgspec.Struct):
    """The named parts of the output."""

    thinking_tokens: int | None = None


class CacheCreation(msgspec.Struct):
    """What was written to the cache, by how long it stays."""

    ephemeral_1h_input_tokens: int | None = None


class ServerToolUse(msgspec.Struct):
    """How often tools of the provider ran."""

    web_search_requests: int | None = None


class Usage(msgspec.Struct):
    """Token counts; a stream tells them twice, and the later value counts."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None
    cache_creation: CacheCreation | None = None
    server_tool_use: ServerToolUse | None = None


class StopDetails(msgspec.Struct):
    """Why the model declined."""

    type: str | None = None
    explanation: str | None = None


class Stop(msgspec.Struct):
    """Why an answer ended."""

    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class Error(msgspec.Struct):
    """What went wrong."""

    type: str = ""
    message: str | None = None


class ErrorBody(msgspec.Struct):
    """A body, or an event, that tells an error."""

    error: Error | None = None


class Message(Stop):
    """An answer: whole, or its first event, which has no content yet."""

    id: str | None = None
    model: str | None = None
    content: list[msgspec.Raw] | None = None
    usage: Usage | None = None
    error: Error | None = None


class AnyEvent(msgspec.Struct):
    """An event whose name is not told beside it."""

    type: str = ""


class MessageStart(msgspec.Struct):
    """The answer begins."""

    message: Message


class BlockStart(msgspec.Struct):
    """A block begins."""

    index: int
    content_block: msgspec.Raw


class BlockDelta(msgspec.Struct):
    """A block grows."""

    index: int
    delta: Delta


class BlockStop(msgspec.Struct):
    """A block is whole."""

    index: int


class MessageDelta(msgspec.Struct):
    """The answer ends."""

    delta: Stop
    usage: Usage | None = None


class Count(msgspec.Struct):
    """The number of input tokens."""

    input_tokens: int


class ModelEntry(msgspec.Struct):
    """A model in the list."""

    id: str
    display_name: str | None = None
    max_input_tokens: float | None = None
    max_tokens: float | None = None

    @property
    def offered(self) -> Offered:
        return Offered(self.id, self.display_name or "", tokens(self.max_input_tokens), tokens(self.max_tokens))


class ModelPage(msgspec.Struct):
    """The list of models."""

    data: list[ModelEntry]


ANY_EVENT: Final = msgspec.json.Decoder(AnyEvent)
BLOCK: Final = msgspec.json.Decoder(Block)
BLOCK_DELTA: Final = msgspec.json.Decoder(BlockDelta)
BLOCK_START: Final = msgspec.json.Decoder(BlockStart)
BLOCK_STOP: Final = msgspec.json.Decoder(BlockStop)
CITATION: Final = msgspec.json.Decoder(Citation)
COUNT: Final = msgspec.json.Decoder(Count)
ERROR: Final = msgspec.json.Decoder(ErrorBody)
MESSAGE: Final = msgspec.json.Decoder(Message)
MESSAGE_DELTA: Final = msgspec.json.Decoder(MessageDelta)
MESSAGE_START: Final = msgspec.json.Decoder(MessageStart)
MODELS: Final = msgspec.json.Decoder(ModelPage)
