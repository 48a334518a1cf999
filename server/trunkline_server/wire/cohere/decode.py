"""Reads answers: whole bodies, and streams of named events of which `message-end` is the last that counts."""

from __future__ import annotations

from typing import Final

from trunkline.v1 import chat_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire import dialect
from trunkline_server.wire.cohere import failures
from trunkline_server.wire.cohere.said import Listener
from trunkline_server.wire.cohere.shapes import (
    ANY_EVENT,
    CONTENT_DELTA,
    CONTENT_START,
    EVENT,
    EVENT_END,
    MESSAGE_END,
    NOTHING,
    REPLY,
    START,
    End,
    Function,
    Message,
    ToolCall,
)
from trunkline_server.wire.cohere.usage import usage_of
from trunkline_server.wire.frames import EventStream, ServerEvent

FINISH_REASONS: Final = {
    "COMPLETE": chat_pb2.FINISH_REASON_STOP,
    "STOP_SEQUENCE": chat_pb2.FINISH_REASON_STOP_SEQUENCE,
    "MAX_TOKENS": chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS,
    "TOOL_CALL": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "ERROR_LIMIT": chat_pb2.FINISH_REASON_CONTEXT_WINDOW,
    "ERROR_TOXIC": chat_pb2.FINISH_REASON_CONTENT_FILTER,
}
FAILED: Final = ("ERROR", "TIMEOUT")
DONE: Final = b"[DONE]"


class _Reader:
    """What both decoders do: begin, hear, and end."""

    def __init__(self, ask: Ask, answer: Answer) -> None:
        self._answer = answer
        self._model = ask.model
        self.listener = Listener(ask, answer)

    def begin(self, response_id: str | None) -> None:
        """The provider does not say which model answers: it is the one that was asked."""
        self._answer.identify(response_id or "", self._model)

    def end(self, end: End) -> None:
        """The answer is done, or has failed."""
        self._answer.usage = (usage_of(end.usage) if end.usage else None) or self._answer.usage
        if end.error or end.error_type or end.finish_reason in FAILED:
            raise failures.of_error(end.error_type or end.finish_reason or "", end.error or "")
        self.listener.end()
        self._answer.finish(self._reason(end.finish_reason), end.finish_reason or "")

    def _reason(self, word: str | None) -> chat_pb2.FinishReason.ValueType:
        if word:
            return FINISH_REASONS.get(word, chat_pb2.FINISH_REASON_OTHER)
        return chat_pb2.FINISH_REASON_TOOL_CALLS if self._answer.has_tool_calls() else chat_pb2.FINISH_REASON_STOP


class StreamDecoder(dialect.FramedBody[ServerEvent]):
    """Reads a stream of events.

    message-start ──▶ (tool-plan-delta* | content-start ──▶ -delta* ──▶ -end | tool-call-…)* ──▶ message-end ──▶ [DONE]
    """

    def __init__(self, ask: Ask, answer: Answer) -> None:
        super().__init__(answer, EventStream())
        self._reader = _Reader(ask, answer)
        self._listener = self._reader.listener
        self._read = {
            b"content-delta": self._content_delta,
            b"content-start": self._content_start,
            b"citation-start": self._citation,
            b"tool-plan-delta": self._tool_plan,
            b"tool-call-start": self._tool_call_start,
            b"tool-call-delta": self._tool_call_delta,
            b"tool-call-end": self._tool_call_end,
            b"message-start": self._message_start,
            b"message-end": self._message_end,
            b"error": self._error,
        }

    def hear(self, frames: list[ServerEvent]) -> None:
        try:
            for name, data in frames:
                read = self._read.get(name or _name(data))
                if read is not None:
                    read(data)
        except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
            raise UpstreamFailure(FailureKind.BROKEN) from None

    def _content_delta(self, data: bytes) -> None:
        event = CONTENT_DELTA.decode(data)
        self._listener.grow(event.delta.message.content)
        if event.logprobs is not None:
            self._listener.weigh(event.logprobs)

    def _content_start(self, data: bytes) -> None:
        self._listener.begin(CONTENT_START.decode(data).delta.message.content)

    def _citation(self, data: bytes) -> None:
        raw = EVENT.decode(data).delta.message.citations
        if raw != NOTHING:
            self._listener.cite(raw)

    def _tool_plan(self, data: bytes) -> None:
        self._listener.plan(EVENT.decode(data).delta.message.tool_plan or "")

    def _tool_call_start(self, data: bytes) -> None:
        event = EVENT.decode(data)
        self._listener.call(event.index, event.delta.message.tool_calls or ToolCall())

    def _tool_call_delta(self, data: bytes) -> None:
        event = EVENT.decode(data)
        function = (event.delta.message.tool_calls or ToolCall()).function or Function()
        self._answer.arguments(event.index, function.arguments or "")

    def _tool_call_end(self, data: bytes) -> None:
        self._answer.close_part(key=EVENT_END.decode(data).index)

    def _message_start(self, data: bytes) -> None:
        self._reader.begin(START.decode(data).id)

    def _message_end(self, data: bytes) -> None:
        self._reader.end(MESSAGE_END.decode(data).delta)

    def _error(self, data: bytes) -> None:
        raise failures.of_event(data)


class BodyDecoder(dialect.WholeBody):
    """Reads an answer that comes in one piece."""

    def __init__(self, ask: Ask, answer: Answer) -> None:
        super().__init__()
        self._reader = _Reader(ask, answer)

    def read(self, body: bytes) -> None:
        reply = dialect.parse(REPLY, body)
        if isinstance(reply.message, str):
            raise failures.of_error(reply.error_type or "", reply.message)
        if reply.message is None and not reply.finish_reason:
            raise UpstreamFailure(FailureKind.BROKEN)
        self._reader.begin(reply.id)
        self._reader.listener.hear(reply.message or Message())
        for logprobs in reply.logprobs or ():
            self._reader.listener.weigh(logprobs)
        self._reader.end(reply)


def _name(data: bytes) -> bytes:
    """An event's name where only its data tell it."""
    return b"" if data.startswith(DONE) else ANY_EVENT.decode(data).type.encode()
