"""Reads answers of the Messages API: a stream of named events, or one message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.v1 import chat_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.anthropic.blocks import Blocks
from trunkline_server.wire.anthropic.failures import of_error
from trunkline_server.wire.anthropic.shapes import (
    ANY_EVENT,
    BLOCK_DELTA,
    BLOCK_START,
    BLOCK_STOP,
    ERROR,
    MESSAGE,
    MESSAGE_DELTA,
    MESSAGE_START,
    Error,
    Message,
    Stop,
    Usage,
)
from trunkline_server.wire.anthropic.usage import merge, usage_of
from trunkline_server.wire.dialect import FramedBody, WholeBody, cut
from trunkline_server.wire.frames import EventStream, ServerEvent

FINISH_REASONS: Final[Mapping[str, chat_pb2.FinishReason.ValueType]] = {
    "end_turn": chat_pb2.FINISH_REASON_STOP,
    "stop_sequence": chat_pb2.FINISH_REASON_STOP_SEQUENCE,
    "max_tokens": chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS,
    "model_context_window_exceeded": chat_pb2.FINISH_REASON_CONTEXT_WINDOW,
    "tool_use": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "refusal": chat_pb2.FINISH_REASON_REFUSAL,
    "pause_turn": chat_pb2.FINISH_REASON_PAUSED,
    "compaction": chat_pb2.FINISH_REASON_PAUSED,
}


class StreamDecoder(FramedBody[ServerEvent]):
    """Reads the events of a streamed answer.

    message_start ──▶ (content_block_start ──▶ _delta* ──▶ _stop)* ──▶ message_delta ──▶ message_stop
    """

    __slots__ = ("_blocks", "_read", "_usage")

    def __init__(self, ask: Ask, answer: Answer) -> None:
        super().__init__(answer, EventStream())
        self._blocks = Blocks(ask, answer)
        self._usage = Usage()
        self._read = {
            b"content_block_delta": self._block_delta,
            b"content_block_start": self._block_start,
            b"content_block_stop": self._block_stop,
            b"message_start": self._message_start,
            b"message_delta": self._message_delta,
            b"message_stop": self._message_stop,
            b"error": self._error,
        }

    def hear(self, frames: list[ServerEvent]) -> None:
        try:
            for name, data in frames:
                read = self._read.get(name or ANY_EVENT.decode(data).type.encode())
                if read is not None:
                    read(data)
        except (ValueError, RecursionError) as unreadable:
            raise UpstreamFailure(FailureKind.BROKEN) from unreadable

    def _block_delta(self, data: bytes) -> None:
        event = BLOCK_DELTA.decode(data)
        self._blocks.grow(event.index, event.delta, data)

    def _block_start(self, data: bytes) -> None:
        event = BLOCK_START.decode(data)
        self._blocks.start(event.index, event.content_block)

    def _block_stop(self, data: bytes) -> None:
        self._blocks.stop(BLOCK_STOP.decode(data).index)

    def _message_start(self, data: bytes) -> None:
        message = MESSAGE_START.decode(data).message
        self._answer.identify(message.id or "", message.model or "")
        self._count(message.usage)

    def _message_delta(self, data: bytes) -> None:
        event = MESSAGE_DELTA.decode(data)
        self._count(event.usage)
        if event.delta.stop_reason:
            self._blocks.close()
            finish(self._answer, event.delta)

    def _message_stop(self, data: bytes) -> None:  # noqa: ARG002 the mark says all
        if not self._answer.has_content and not self._answer.finished:
            raise cut(self._answer)
        self._blocks.close()
        finish(self._answer, Stop())

    def _error(self, data: bytes) -> None:
        raise of_error(ERROR.decode(data).error or Error())

    def _count(self, usage: Usage | None) -> None:
        if usage is not None:
            self._answer.usage = usage_of(merge(self._usage, usage))


class BodyDecoder(WholeBody):
    """Reads an answer that comes as one message."""

    def __init__(self, ask: Ask, answer: Answer) -> None:
        super().__init__()
        self._answer = answer
        self._blocks = Blocks(ask, answer)

    def read(self, body: bytes) -> None:
        try:
            self._tell(MESSAGE.decode(body))
        except (ValueError, RecursionError) as unreadable:
            raise UpstreamFailure(FailureKind.BROKEN) from unreadable

    def _tell(self, message: Message) -> None:
        if message.error is not None:
            raise of_error(message.error)
        if message.content is None:
            raise UpstreamFailure(FailureKind.BROKEN)
        self._answer.identify(message.id or "", message.model or "")
        for index, block in enumerate(message.content):
            self._blocks.start(index, block)
            self._blocks.stop(index)
        if message.usage is not None:
            self._answer.usage = usage_of(message.usage)
        finish(self._answer, message)


def finish(answer: Answer, stop: Stop) -> None:
    """The answer is done; the first reason counts, and a missing one is found from what was said."""
    if answer.finished:
        return
    if stop.stop_details and stop.stop_details.explanation:
        answer.refusal(stop.stop_details.explanation)
    answer.finish(_reason(answer, stop.stop_reason), stop.stop_reason or "", stop.stop_sequence or "")


def _reason(answer: Answer, told: str | None) -> chat_pb2.FinishReason.ValueType:
    if told:
        return FINISH_REASONS.get(told, chat_pb2.FINISH_REASON_OTHER)
    return chat_pb2.FINISH_REASON_TOOL_CALLS if answer.has_tool_calls() else chat_pb2.FINISH_REASON_STOP
