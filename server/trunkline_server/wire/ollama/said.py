"""Tells an `Answer` what a message says, or what a line adds to one."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from trunkline.v1 import content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.media import sniff
from trunkline_server.wire import dialect
from trunkline_server.wire.ollama.shapes import NOTHING, Said, ToolCall


class Listener:
    """Hears messages and lines. Tool calls come whole, so each is its own."""

    __slots__ = ("_answer", "_calls")

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._calls = 0

    def hear(self, said: Said) -> None:
        """What was said, in the order in which a model says it."""
        if said.thinking:
            self._answer.reasoning(said.thinking)
        if said.content:
            self._answer.text(said.content)
        if said.images:
            self._see(said.images)
        if said.tool_calls:
            self._call(said.tool_calls)

    def _call(self, calls: Sequence[ToolCall]) -> None:
        for call in calls:
            if not call.function.name:
                raise UpstreamFailure(FailureKind.BROKEN)
            self._calls += 1
            self._answer.tool_call(self._calls, call.id or "", call.function.name)
            if call.function.arguments != NOTHING:
                self._answer.arguments(self._calls, dialect.verbatim(call.function.arguments))
            self._answer.close_part(key=self._calls)

    def _see(self, images: Sequence[str]) -> None:
        for image in images:
            data = _bytes(image)
            blob = content_pb2.Blob(data=data, media_type=sniff(data))
            self._answer.part(content_pb2.Part(image=content_pb2.ImagePart(blob=blob)))


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise UpstreamFailure(FailureKind.BROKEN) from None
