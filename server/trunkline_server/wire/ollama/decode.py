"""Reads answers: whole bodies, and streams of lines of which the one with `done` is the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trunkline.v1 import chat_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire import dialect
from trunkline_server.wire.frames import LineStream
from trunkline_server.wire.ollama import failures
from trunkline_server.wire.ollama.said import Listener
from trunkline_server.wire.ollama.shapes import REPLY, Reply, Token
from trunkline_server.wire.ollama.usage import usage_of

FINISH_REASONS: Final = {
    "": chat_pb2.FINISH_REASON_STOP,
    "stop": chat_pb2.FINISH_REASON_STOP,
    "length": chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS,
}


class _Reader:
    """What both decoders do with a reply."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._listener = Listener(answer)

    def read(self, reply: Reply) -> None:
        if reply.error:
            raise failures.of_error(reply.error)
        if not self._answer.model:
            self._answer.identify("", reply.model or "")
        if reply.message is not None:
            self._listener.hear(reply.message)
        if reply.logprobs:
            self._answer.logprobs(_tokens(reply.logprobs))
        if reply.done:
            self._finish(reply)

    def _finish(self, reply: Reply) -> None:
        self._answer.usage = usage_of(reply)
        word = reply.done_reason or ""
        self._answer.finish(self._reason(word), word)

    def _reason(self, word: str) -> chat_pb2.FinishReason.ValueType:
        """The server calls it a stop where the model calls a tool."""
        reason = FINISH_REASONS.get(word, chat_pb2.FINISH_REASON_OTHER)
        if reason == chat_pb2.FINISH_REASON_STOP and self._answer.has_tool_calls():
            return chat_pb2.FINISH_REASON_TOOL_CALLS
        return reason


class StreamDecoder(dialect.FramedBody[bytes]):
    """Reads a stream of lines."""

    def __init__(self, ask: Ask, answer: Answer) -> None:  # noqa: ARG002 - as every dialect's
        super().__init__(answer, LineStream())
        self._reader = _Reader(answer)

    def hear(self, frames: list[bytes]) -> None:
        for line in frames:
            self._reader.read(dialect.parse(REPLY, line))


class BodyDecoder(dialect.WholeBody):
    """Reads an answer that comes in one piece."""

    def __init__(self, ask: Ask, answer: Answer) -> None:  # noqa: ARG002 - as every dialect's
        super().__init__()
        self._answer = answer
        self._reader = _Reader(answer)

    def read(self, body: bytes) -> None:
        self._reader.read(dialect.parse(REPLY, body))
        if not self._answer.finished:
            raise UpstreamFailure(FailureKind.BROKEN)


def _tokens(told: Sequence[Token]) -> list[chat_pb2.TokenLogprob]:
    return [
        chat_pb2.TokenLogprob(
            token=token.token, logprob=token.logprob or 0.0, alternatives=_tokens(token.top_logprobs or ())
        )
        for token in told
    ]
