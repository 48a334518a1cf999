"""Reads answers: server-sent events, a whole body, or the list of chunks that a stream is without `alt=sse`."""

from __future__ import annotations

import msgspec

from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.dialect import FramedBody, WholeBody, parse
from trunkline_server.wire.frames import EventStream, ServerEvent
from trunkline_server.wire.gemini.chunks import ChunkReader

_CHUNKS = msgspec.json.Decoder(list[msgspec.Raw])


class StreamDecoder(FramedBody[ServerEvent]):
    """Server-sent events, each a chunk. Nothing marks the end but the candidates' finish reasons."""

    __slots__ = ("_reader",)

    def __init__(self, ask: Ask, answer: Answer) -> None:
        super().__init__(answer, EventStream())
        self._reader = ChunkReader(ask, answer)

    def hear(self, frames: list[ServerEvent]) -> None:
        try:
            for _, data in frames:
                self._reader.read(data)
        finally:
            self._reader.tell_usage()


class BodyDecoder(WholeBody):
    """A whole answer, or the list of chunks that a stream is without `alt=sse`."""

    def __init__(self, ask: Ask, answer: Answer) -> None:
        super().__init__()
        self._answer = answer
        self._reader = ChunkReader(ask, answer)

    def read(self, body: bytes) -> None:
        try:
            for chunk in split_body(body):
                self._reader.read(chunk)
        finally:
            self._reader.tell_usage()
        if not self._answer.finished:
            raise UpstreamFailure(FailureKind.BROKEN)


def split_body(body: bytes) -> list[bytes]:
    """The chunks of a body: its items where it is a list, else itself."""
    return [bytes(chunk) for chunk in parse(_CHUNKS, body)] if body.lstrip().startswith(b"[") else [body]
