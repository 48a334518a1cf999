"""Reads answers: whole bodies, and streams of chunks that end with `[DONE]`."""

from __future__ import annotations

from typing import Final

from trunkline.v1 import chat_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire import dialect
from trunkline_server.wire.frames import EventStream, ServerEvent
from trunkline_server.wire.openai_chat import failures
from trunkline_server.wire.openai_chat.quirks import Quirks
from trunkline_server.wire.openai_chat.said import Listener
from trunkline_server.wire.openai_chat.shapes import REPLY, Logprobs, Reply, Token
from trunkline_server.wire.openai_chat.usage import usage_of

FINISH_REASONS: Final = {
    "": chat_pb2.FINISH_REASON_UNSPECIFIED,
    "stop": chat_pb2.FINISH_REASON_STOP,
    "eos_token": chat_pb2.FINISH_REASON_STOP,
    "stop_sequence": chat_pb2.FINISH_REASON_STOP_SEQUENCE,
    "length": chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS,
    "model_length": chat_pb2.FINISH_REASON_CONTEXT_WINDOW,
    "tool_calls": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "function_call": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "content_filter": chat_pb2.FINISH_REASON_CONTENT_FILTER,
    "refusal": chat_pb2.FINISH_REASON_REFUSAL,
}
DERIVED: Final = {chat_pb2.FINISH_REASON_UNSPECIFIED, chat_pb2.FINISH_REASON_STOP}  # the content knows better
DONE: Final = b"[DONE]"
ERROR: Final = b"error"


class _Reader:
    """What both decoders do with a reply."""

    def __init__(self, ask: Ask, answer: Answer, quirks: Quirks) -> None:
        self._answer = answer
        self._quirks = quirks
        self._listener = Listener(ask, answer)
        self._wanted = max(1, ask.input.sampling.candidate_count)
        self._finished: set[int] = set()

    def read(self, reply: Reply) -> None:
        if not self._answer.response_id:
            self._answer.identify(reply.id or "", reply.model or "")
        if reply.usage or reply.x_groq:
            self._count(reply)
        if reply.error:
            raise failures.of_error(reply.error, reply.error_type)
        for choice in reply.choices or ():
            said = choice.delta or choice.message
            if said is not None:
                self._listener.hear(said, choice.index)
            if choice.logprobs is not None:
                self._answer.logprobs(_tokens(choice.logprobs), choice.index)
            if choice.finish_reason:
                self._finish(choice.index, choice.finish_reason)

    @property
    def whole(self) -> bool:
        """Every candidate that was asked for has its finish reason."""
        return self._answer.finished and len(self._finished) >= self._wanted

    def end(self) -> None:
        """The answer is over; candidates that were not told why they ended, end now."""
        for candidate in self._answer.ends():
            if candidate.index not in self._finished:
                self._finish(candidate.index, "")

    def _count(self, reply: Reply) -> None:
        usage = reply.usage or (reply.x_groq and reply.x_groq.usage)
        if usage:
            self._answer.usage = usage_of(usage, self._quirks)

    def _finish(self, candidate: int, word: str) -> None:
        if word == "error":
            raise dialect.cut(self._answer)
        self._listener.end(candidate)
        self._answer.finish(self._reason(word, candidate), word, candidate=candidate)
        self._finished.add(candidate)

    def _reason(self, word: str, candidate: int) -> chat_pb2.FinishReason.ValueType:
        reason = FINISH_REASONS.get(word, chat_pb2.FINISH_REASON_OTHER)
        if reason not in DERIVED:
            return reason
        if self._answer.has_tool_calls(candidate):
            return chat_pb2.FINISH_REASON_TOOL_CALLS
        return chat_pb2.FINISH_REASON_REFUSAL if self._answer.has_refusal(candidate) else reason


class StreamDecoder(dialect.FramedBody[ServerEvent]):
    """Reads a stream of chunks."""

    def __init__(self, ask: Ask, answer: Answer, quirks: Quirks) -> None:
        super().__init__(answer, EventStream())
        self._reader = _Reader(ask, answer, quirks)
        self._done = False

    def close(self) -> None:
        self.hear(self._frames.close())
        if self._reader.whole:
            return
        if not self._done or not (self._answer.has_content or self._answer.finished):
            raise dialect.cut(self._answer)
        self._reader.end()

    def hear(self, frames: list[ServerEvent]) -> None:
        for name, chunk in frames:
            if name == ERROR:
                raise failures.of_event(chunk)
            if chunk.startswith(DONE):
                self._done = True
            elif chunk:
                self._reader.read(dialect.parse(REPLY, chunk))


class BodyDecoder(dialect.WholeBody):
    """Reads an answer that comes in one piece."""

    def __init__(self, ask: Ask, answer: Answer, quirks: Quirks) -> None:
        super().__init__()
        self._reader = _Reader(ask, answer, quirks)

    def read(self, body: bytes) -> None:
        reply = dialect.parse(REPLY, body)
        self._reader.read(reply)
        if not reply.choices:
            raise UpstreamFailure(FailureKind.BROKEN)
        self._reader.end()


def _tokens(logprobs: Logprobs) -> list[chat_pb2.TokenLogprob]:
    return [_token(token) for token in (*(logprobs.content or ()), *(logprobs.refusal or ()))]


def _token(token: Token) -> chat_pb2.TokenLogprob:
    alternatives = [_token(each) for each in token.top_logprobs or ()]
    return chat_pb2.TokenLogprob(token=token.token, logprob=token.logprob or 0.0, alternatives=alternatives)
