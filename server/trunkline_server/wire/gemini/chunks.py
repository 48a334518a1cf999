"""Reads chunks: a whole answer and an event of a stream have the same shape here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.dialect import parse, spell, verbatim
from trunkline_server.wire.gemini import shapes
from trunkline_server.wire.gemini.blobs import read_file, read_inline
from trunkline_server.wire.gemini.failures import of_error_object
from trunkline_server.wire.gemini.notes import Notes
from trunkline_server.wire.gemini.shapes import is_told
from trunkline_server.wire.gemini.usage import read_usage

FINISH_REASONS: Final[Mapping[str, chat_pb2.FinishReason.ValueType]] = {
    "STOP": chat_pb2.FINISH_REASON_STOP,
    "MAX_TOKENS": chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS,
    "SAFETY": chat_pb2.FINISH_REASON_CONTENT_FILTER,
    "BLOCKLIST": chat_pb2.FINISH_REASON_CONTENT_FILTER,
    "PROHIBITED_CONTENT": chat_pb2.FINISH_REASON_CONTENT_FILTER,
    "SPII": chat_pb2.FINISH_REASON_CONTENT_FILTER,
    "MODEL_ARMOR": chat_pb2.FINISH_REASON_CONTENT_FILTER,
    "IMAGE_SAFETY": chat_pb2.FINISH_REASON_CONTENT_FILTER,
    "IMAGE_PROHIBITED_CONTENT": chat_pb2.FINISH_REASON_CONTENT_FILTER,
    "RECITATION": chat_pb2.FINISH_REASON_RECITATION,
    "IMAGE_RECITATION": chat_pb2.FINISH_REASON_RECITATION,
    "MALFORMED_FUNCTION_CALL": chat_pb2.FINISH_REASON_INVALID_TOOL_CALL,
    "UNEXPECTED_TOOL_CALL": chat_pb2.FINISH_REASON_INVALID_TOOL_CALL,
    "TOO_MANY_TOOL_CALLS": chat_pb2.FINISH_REASON_INVALID_TOOL_CALL,
}
UNFINISHED: Final = frozenset({None, "", "FINISH_REASON_UNSPECIFIED"})
UNBLOCKED: Final = frozenset({None, "", "BLOCK_REASON_UNSPECIFIED"})
MARKS: Final = frozenset({"thought", "thoughtSignature"})
CODE_EXECUTION: Final = "code_execution"

_CHUNK = msgspec.json.Decoder(shapes.Chunk)
_RAW_CHUNK = msgspec.json.Decoder(shapes.RawChunk)
_RUN = msgspec.json.Decoder(shapes.Run)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class ChunkReader:
    """Tells an answer what the chunks say, in the order in which they come."""

    __slots__ = ("_answer", "_ask", "_calls", "_notes", "_signed", "_usage")

    def __init__(self, ask: Ask, answer: Answer) -> None:
        self._ask = ask
        self._answer = answer
        self._notes = Notes(ask.provider, answer)
        self._usage: shapes.UsageMetadata | None = None
        self._signed: set[int] = set()
        self._calls = 0

    def read(self, data: bytes) -> None:
        """One chunk."""
        chunk = parse(_CHUNK, data)
        if is_told(chunk.error):
            raise of_error_object(chunk.error)
        if chunk.usage_metadata is not None:
            self._usage = chunk.usage_metadata
        if not self._answer.response_id:
            self._answer.identify(chunk.response_id or "", chunk.model_version or "")
        for place, candidate in enumerate(chunk.candidates or ()):
            self._candidate(candidate, place, data)
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason not in UNBLOCKED:
            raise UpstreamFailure(FailureKind.FILTERED, 200, chunk.prompt_feedback.block_reason or "")

    def tell_usage(self) -> None:
        """The counts grow from chunk to chunk; the last ones count."""
        if self._usage is not None:
            self._answer.usage = read_usage(self._usage, self._notes.search_count)

    def _candidate(self, candidate: shapes.Candidate, place: int, data: bytes) -> None:
        index = place if candidate.index is None else candidate.index
        if candidate.content is not None and candidate.content.parts:
            for number, part in enumerate(candidate.content.parts):
                if part.text and part.thought_signature is None and not part.thought and not self._signed:
                    self._answer.text(part.text, index)
                else:
                    self._part(part, index, _TextOf(data, place, number))
        if candidate.is_plain:
            return
        self._notes.keep(candidate, index)
        if candidate.finish_reason not in UNFINISHED:
            self._finish(candidate.finish_reason or "", index)

    def _finish(self, reason: str, index: int) -> None:
        self._notes.tell(index)
        known = FINISH_REASONS.get(reason, chat_pb2.FINISH_REASON_OTHER)
        if known == chat_pb2.FINISH_REASON_STOP and self._answer.has_tool_calls(index):
            known = chat_pb2.FINISH_REASON_TOOL_CALLS
        self._answer.finish(known, reason, candidate=index)

    def _part(self, part: shapes.Part, index: int, text_of: Callable[[], str]) -> None:
        if part.text is not None:
            self._words(part.text, part, index)
        elif part.function_call is not None:
            self._call(part.function_call, part, index)
        elif is_told(part.executable_code):
            self._run(part.executable_code, text_of(), index)
        elif is_told(part.tool_call):
            self._run(part.tool_call, text_of(), index)
        elif part.inline_data is not None and not part.thought:
            self._media(read_inline(part.inline_data), part, index)
        elif part.file_data is not None and not part.thought:
            self._media(read_file(part.file_data), part, index)
        else:
            self._opaque(text_of(), index)

    def _words(self, text: str, part: shapes.Part, index: int) -> None:
        """Text or thoughts. A signature belongs to exactly the words it came with, so nothing grows across it."""
        signature = part.thought_signature
        if not text and not signature:
            return
        grow, begin = self._answer.text, self._answer.open_text
        if part.thought:
            grow, begin = self._answer.reasoning, self._answer.open_reasoning
        if (text and signature) or index in self._signed:
            begin(index)
            self._signed.discard(index)
        grow(text, index)
        if signature:
            self._answer.state(self._state(_signature_fields(part)), index)
            self._signed.add(index)

    def _call(self, call: shapes.FunctionCall, part: shapes.Part, index: int) -> None:
        key = self._next_key()
        self._answer.tool_call(key, call.id or "", call.name, index)
        self._answer.arguments(key, verbatim(call.args) if is_told(call.args) else "", index)
        if part.thought_signature:
            self._answer.state(self._state(_signature_fields(part)), index, key)
        self._answer.close_part(index, key)

    def _run(self, told: msgspec.Raw, block: str, index: int) -> None:
        """A tool that the provider runs itself; the whole block is its state. What came of it is an opaque part."""
        run = parse(_RUN, bytes(told))
        name, arguments = (run.tool_type, run.args) if run.tool_type else (CODE_EXECUTION, told)
        key = self._next_key()
        self._answer.tool_call(key, run.id or "", name, index, content_pb2.TOOL_EXECUTOR_PROVIDER)
        self._answer.arguments(key, verbatim(arguments) if is_told(arguments) else "", index)
        self._answer.state(self._state(block.encode()), index, key)
        self._answer.close_part(index, key)

    def _next_key(self) -> int:
        self._calls += 1
        return self._calls

    def _media(self, media: content_pb2.Part, part: shapes.Part, index: int) -> None:
        if part.thought_signature:
            media.provider_state.CopyFrom(self._state(_signature_fields(part)))
        self._answer.part(media, index)

    def _opaque(self, block: str, index: int) -> None:
        fields = parse(_FIELDS, block.encode())
        kind = next((name for name in fields if name not in MARKS), "")
        opaque = content_pb2.OpaquePart(provider=self._ask.provider, type=kind, json=block)
        self._answer.part(content_pb2.Part(opaque=opaque), index)

    def _state(self, data: bytes) -> content_pb2.ProviderState:
        return content_pb2.ProviderState(provider=self._ask.provider, model=self._ask.model, data=data)


class _TextOf:
    """Finds a part's own JSON; asked only where a part is handed on as it is."""

    __slots__ = ("_data", "_number", "_place")

    def __init__(self, data: bytes, place: int, number: int) -> None:
        self._data = data
        self._place = place
        self._number = number

    def __call__(self) -> str:
        candidates = parse(_RAW_CHUNK, self._data).candidates or []
        content = candidates[self._place].content
        parts = (content.parts if content else None) or []
        return verbatim(parts[self._number])


def _signature_fields(part: shapes.Part) -> bytes:
    """The fields that go back beside the part's own. A signature that came without words goes back without words."""
    fields: dict[str, object] = {"thoughtSignature": part.thought_signature}
    if part.text == "":
        fields["text"] = ""
        if part.thought:
            fields["thought"] = True
    return spell(fields)
