"""Reads answers: whole bodies, and streams of typed events that end with the whole answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from trunkline.v1 import chat_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire import dialect
from trunkline_server.wire.frames import EventStream, ServerEvent
from trunkline_server.wire.openai_chat import failures
from trunkline_server.wire.openai_responses.calls import Call
from trunkline_server.wire.openai_responses.floor import Floor
from trunkline_server.wire.openai_responses.items import Items
from trunkline_server.wire.openai_responses.said import Message
from trunkline_server.wire.openai_responses.shapes import EVENT, RESPONSE, Event, Incomplete, Response
from trunkline_server.wire.openai_responses.thoughts import Reasoning
from trunkline_server.wire.openai_responses.usage import units_of, usage_of

FINISH_REASONS: Final = {
    "completed": chat_pb2.FINISH_REASON_STOP,
    "max_output_tokens": chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS,
    "max_tokens": chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS,
    "max_tool_calls": chat_pb2.FINISH_REASON_MAX_TOOL_ROUNDS,
    "content_filter": chat_pb2.FINISH_REASON_CONTENT_FILTER,
}
DONE: Final = b"[DONE]"
ERROR: Final = b"error"
UNSAID: Final = (b"", b"null")
NO_TOKENS_BYTES: Final = len(b"[]")
CHARS_PER_TOKEN: Final = 4

Kind = TypeVar("Kind", Message, Reasoning, Call)


class _Reader:
    """What both decoders do with an answer."""

    def __init__(self, ask: Ask, answer: Answer) -> None:
        self.answer = answer
        self._floor = Floor(ask.provider, answer)
        self.items = Items(self._floor)

    def identify(self, response: Response) -> None:
        self.answer.identify(response.id or "", response.model or "")

    def finish(self, response: Response) -> None:
        """The whole answer. What was not streamed of it is told now; only a stream without any items says nothing."""
        self.identify(response)
        if not self.items.begun:
            for index, raw in enumerate(response.output or ()):
                self.items.end(index, raw)
        self.items.end_all()
        if response.usage is not None:
            self.answer.usage = usage_of(response.usage, units_of(response, self._floor.units))
        self._end(response)

    def find(self, kind: type[Kind], event: Event) -> Kind:
        """The item that grows in the event's place."""
        found = self.items.find(event.output_index)
        if not isinstance(found, kind):
            raise UpstreamFailure(FailureKind.BROKEN)
        return found

    def _end(self, response: Response) -> None:
        if bytes(response.error) not in UNSAID:
            raise failures.of_event(bytes(response.error))
        if response.status not in ("completed", "incomplete"):
            raise dialect.cut(self.answer)
        word = (response.incomplete_details or Incomplete()).reason or response.status
        self.answer.finish(self._reason(word), word)

    def _reason(self, word: str) -> chat_pb2.FinishReason.ValueType:
        if word != "completed":
            return FINISH_REASONS.get(word, chat_pb2.FINISH_REASON_OTHER)
        if self.answer.has_tool_calls():
            return chat_pb2.FINISH_REASON_TOOL_CALLS
        return chat_pb2.FINISH_REASON_REFUSAL if self.answer.has_refusal() else FINISH_REASONS[word]


class StreamDecoder(dialect.FramedBody[ServerEvent]):
    """Reads a stream of events."""

    def __init__(self, ask: Ask, answer: Answer) -> None:
        super().__init__(answer, EventStream())
        self._reader = _Reader(ask, answer)

    def hear(self, frames: list[ServerEvent]) -> None:
        for name, chunk in frames:
            if not chunk.startswith(DONE):
                self._hear(name, chunk)
        self._count()

    def _hear(self, name: bytes, chunk: bytes) -> None:
        event = dialect.parse(EVENT, chunk)
        handle = HANDLERS.get(event.type)
        if handle is not None:
            handle(self._reader, event)
        elif ERROR in (name, event.type.encode()) or bytes(event.error) not in UNSAID:
            raise failures.of_event(chunk)

    def _count(self) -> None:
        """A delta may hold several tokens, of a call all of them; what is cut off must not count as less than it is."""
        answer = self._answer
        if answer.output_chars > answer.delta_count * CHARS_PER_TOKEN:
            answer.delta_count = answer.output_chars // CHARS_PER_TOKEN


class BodyDecoder(dialect.WholeBody):
    """Reads an answer that comes in one piece; one that is not ready yet cannot be waited for."""

    def __init__(self, ask: Ask, answer: Answer) -> None:
        super().__init__()
        self._reader = _Reader(ask, answer)

    def read(self, body: bytes) -> None:
        self._reader.finish(dialect.parse(RESPONSE, body))


def _words(event: Event) -> str:
    if type(event.delta) is not str:
        raise UpstreamFailure(FailureKind.BROKEN)
    return event.delta


def _on_text(reader: _Reader, event: Event) -> None:
    message = reader.find(Message, event)
    message.hear(_words(event), event.content_index)
    if len(bytes(event.logprobs)) > NO_TOKENS_BYTES:
        message.weigh(event.logprobs)


def _on_refusal(reader: _Reader, event: Event) -> None:
    reader.find(Message, event).refuse(_words(event), event.content_index)


def _on_annotation(reader: _Reader, event: Event) -> None:
    reader.find(Message, event).cite(event.annotation, event.content_index)


def _on_summary(reader: _Reader, event: Event) -> None:
    reader.find(Reasoning, event).hear(_words(event), ("summary_text", event.summary_index))


def _on_thought(reader: _Reader, event: Event) -> None:
    reader.find(Reasoning, event).hear(_words(event), ("reasoning_text", event.content_index))


def _on_arguments(reader: _Reader, event: Event) -> None:
    reader.find(Call, event).hear(_words(event))


def _on_item(reader: _Reader, event: Event) -> None:
    reader.items.begin(event.output_index, event.item)


def _on_item_end(reader: _Reader, event: Event) -> None:
    reader.items.end(event.output_index, event.item)


def _on_start(reader: _Reader, event: Event) -> None:
    reader.identify(dialect.parse(RESPONSE, event.response))


def _on_end(reader: _Reader, event: Event) -> None:
    reader.finish(dialect.parse(RESPONSE, event.response))


HANDLERS: Final[Mapping[str, Callable[[_Reader, Event], None]]] = {
    "response.created": _on_start,
    "response.output_item.added": _on_item,
    "response.output_item.done": _on_item_end,
    "response.output_text.delta": _on_text,
    "response.output_text.annotation.added": _on_annotation,
    "response.refusal.delta": _on_refusal,
    "response.reasoning_summary_text.delta": _on_summary,
    "response.reasoning_text.delta": _on_thought,
    "response.function_call_arguments.delta": _on_arguments,
    "response.custom_tool_call_input.delta": _on_arguments,
    "response.completed": _on_end,
    "response.incomplete": _on_end,
    "response.failed": _on_end,
    "response.cancelled": _on_end,
}
