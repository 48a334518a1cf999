"""Tells an `Answer` what a message says, or what a chunk adds to it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Final

import msgspec

from trunkline.v1 import content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire import dialect
from trunkline_server.wire.openai_chat.calls import Calls
from trunkline_server.wire.openai_chat.shapes import ANNOTATION, BLOCK, Audio, Block, Said, ToolCall, UrlCitation
from trunkline_server.wire.openai_chat.thoughts import Thoughts

OFFSET_MAX: Final = 2**31 - 1
LEGACY_CALL: Final = -1  # the place of the one call that old models make


@dataclass(slots=True)
class _Speech:
    """A spoken answer while it comes in."""

    id: str = ""
    data: bytearray = field(default_factory=bytearray)
    transcript: list[str] = field(default_factory=list)


class Listener:
    """Hears messages and chunks. Speech is told when it is whole."""

    __slots__ = ("_answer", "_ask", "_calls", "_speech", "_thoughts")

    def __init__(self, ask: Ask, answer: Answer) -> None:
        self._ask = ask
        self._answer = answer
        self._calls = Calls(ask.provider, answer)
        self._speech: dict[int, _Speech] = {}
        self._thoughts = Thoughts(ask.provider, answer)

    def hear(self, said: Said, candidate: int) -> None:
        """What was said, in the order in which a model says it."""
        thoughts = said.reasoning_content or said.reasoning
        if thoughts or said.reasoning_details:
            self._thoughts.hear(thoughts, said.reasoning_details, candidate)
        content = said.content
        if self._thoughts.going and (content or said.refusal or said.tool_calls):
            self._thoughts.end(candidate)
        if content:
            if isinstance(content, str):
                self._answer.text(content, candidate)
            else:
                self._blocks(content, candidate)
        if said.refusal:
            self._answer.refusal(said.refusal, candidate)
        if said.annotations:
            self._citations(said.annotations, candidate)
        if said.tool_calls:
            self._calls.hear(said.tool_calls, candidate)
        if said.function_call:
            self._calls.hear([ToolCall(LEGACY_CALL, function=said.function_call)], candidate)
        if said.audio:
            self._listen(said.audio, candidate)

    def end(self, candidate: int) -> None:
        """The candidate has said everything."""
        self._thoughts.end(candidate)
        speech = self._speech.pop(candidate, None)
        if speech is not None:
            self._answer.part(self._spoken(speech), candidate)

    def _blocks(self, blocks: list[msgspec.Raw], candidate: int) -> None:
        for raw in blocks:
            block = dialect.parse(BLOCK, raw)
            if block.type == "text":
                self._answer.text(block.text or "", candidate)
            elif block.type == "thinking":
                self._answer.reasoning(_text_of(block), candidate)
            else:
                self._answer.part(self._opaque(block.type, raw), candidate)

    def _opaque(self, kind: str, raw: msgspec.Raw) -> content_pb2.Part:
        block = content_pb2.OpaquePart(provider=self._ask.provider, type=kind, json=dialect.verbatim(raw))
        return content_pb2.Part(opaque=block)

    def _citations(self, annotations: list[msgspec.Raw], candidate: int) -> None:
        for raw in annotations:
            source = dialect.parse(ANNOTATION, raw).url_citation or UrlCitation()
            citation = content_pb2.Citation(
                title=source.title or "",
                uri=source.url,
                cited_text=source.content or "",
                start_index=_offset(source.start_index),
                end_index=_offset(source.end_index),
                provider_json=dialect.verbatim(raw),
            )
            self._answer.citation(citation, candidate)

    def _listen(self, audio: Audio, candidate: int) -> None:
        speech = self._speech.setdefault(candidate, _Speech())
        speech.id = speech.id or audio.id or ""
        speech.data += _bytes(audio.data or "")
        speech.transcript.append(audio.transcript or "")

    def _spoken(self, speech: _Speech) -> content_pb2.Part:
        blob = content_pb2.Blob(data=bytes(speech.data), media_type=self._media_type())
        return content_pb2.Part(
            audio=content_pb2.AudioPart(blob=blob, transcript="".join(speech.transcript)),
            provider_state=content_pb2.ProviderState(
                provider=self._ask.provider, model=self._answer.model, item_id=speech.id
            ),
        )

    def _media_type(self) -> str:
        """The server does not say; it is what was asked for."""
        asked = self._ask.options.get("audio")
        return f"audio/{asked.get('format', 'wav')}" if isinstance(asked, dict) else "audio/wav"


def _offset(told: float | None) -> int:
    return min(dialect.count(told), OFFSET_MAX)


def _text_of(block: Block) -> str:
    if isinstance(block.thinking, list):
        return "".join(each.text or "" for each in block.thinking)
    return block.thinking or ""


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError:
        raise UpstreamFailure(FailureKind.BROKEN) from None
