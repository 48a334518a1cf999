"""An answer while it comes in.

A wire's decoder tells what it read (`text`, `tool_call`, `finish`, ...); the answer grows a message for each candidate.
Whoever streams it on asks `drain()` for the events since last time: all deltas of one kind that came in one read are
one event. Whoever wants it whole never drains, and no event is built.

    part:      open ──deltas──▶ closed          candidate:  growing ──finish──▶ finished
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Final, TypeAlias

import orjson

from trunkline.v1 import chat_pb2, content_pb2, usage_pb2
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.ids import new_uuid

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

_Candidates: TypeAlias = "RepeatedCompositeFieldContainer[chat_pb2.Candidate]"

TEXT: Final = "text"
REASONING: Final = "reasoning"
REFUSAL: Final = "refusal"
ARGUMENTS: Final = "arguments_json"


class _OpenPart:
    """A part that still grows: its proto without the growing string, and the pieces of that string."""

    __slots__ = ("delta", "index", "key", "pieces", "proto")

    def __init__(self, index: int, proto: content_pb2.Part, delta: str, key: object) -> None:
        self.index = index
        self.proto = proto
        self.delta = delta
        self.key = key
        self.pieces: list[str] = []

    def fill(self) -> content_pb2.Part:
        """Put the pieces in their place."""
        text = "".join(self.pieces)
        if self.delta == TEXT:
            self.proto.text.text = text
        elif self.delta == REASONING:
            self.proto.reasoning.text = text
        elif self.delta == REFUSAL:
            self.proto.refusal.text = text
        else:
            _fill_arguments(self.proto.tool_call, text)
        return self.proto


class _Candidate:
    """One of the answers: its parts in order, and those that still grow."""

    __slots__ = ("current", "finished", "index", "open", "parts", "proto")

    def __init__(self, index: int) -> None:
        self.index = index
        self.parts: list[content_pb2.Part] = []
        self.open: dict[object, _OpenPart] = {}
        self.current: _OpenPart | None = None
        self.finished = False
        self.proto = chat_pb2.Candidate(index=index)


class Answer:
    """What a provider has said so far."""

    __slots__ = (
        "_call_ids",
        "_candidates",
        "_delta",
        "_events",
        "_pieces",
        "_streaming",
        "delta_count",
        "has_content",
        "model",
        "output_chars",
        "response_id",
        "usage",
    )

    def __init__(self, *, streaming: bool) -> None:
        self.response_id = ""
        self.model = ""
        self.usage: usage_pb2.Usage | None = None
        self.has_content = False
        self.delta_count = 0
        self.output_chars = 0
        self._streaming = streaming
        self._candidates: dict[int, _Candidate] = {}
        self._events: list[chat_pb2.ChatEvent] = []
        self._delta: tuple[_Candidate, _OpenPart] | None = None
        self._pieces: list[str] = []
        self._call_ids: set[str] = set()

    # What decoders tell.

    def identify(self, response_id: str, model: str) -> None:
        """The provider's id of the answer and its name for the model; the first non-empty word counts."""
        self.response_id = self.response_id or response_id
        self.model = self.model or model

    def text(self, text: str, candidate: int = 0) -> None:
        """More of the text."""
        self._grow(TEXT, _new_text, text, candidate)

    def reasoning(self, text: str, candidate: int = 0) -> None:
        """More of the thoughts."""
        self._grow(REASONING, _new_reasoning, text, candidate)

    def refusal(self, text: str, candidate: int = 0) -> None:
        """More of the refusal."""
        self._grow(REFUSAL, _new_refusal, text, candidate)

    def open_text(self, candidate: int = 0) -> None:
        """A new text part begins, even if the last one was text too."""
        self._open(self._candidate(candidate), TEXT, _new_text())

    def open_reasoning(self, candidate: int = 0) -> None:
        """A new reasoning part begins."""
        self._open(self._candidate(candidate), REASONING, _new_reasoning())

    def tool_call(
        self,
        key: object,
        call_id: str,
        name: str,
        candidate: int = 0,
        executor: content_pb2.ToolExecutor.ValueType = content_pb2.TOOL_EXECUTOR_CALLER,
    ) -> None:
        """A tool call begins. `key` names it in later fragments; a missing or repeated id is replaced."""
        if not call_id or call_id in self._call_ids:
            call_id = f"call_{new_uuid().hex}"
        self._call_ids.add(call_id)
        call = content_pb2.ToolCallPart(
            call_id=call_id, name=name, executor=executor, state=content_pb2.TOOL_CALL_STATE_STREAMING
        )
        self._open(self._candidate(candidate), ARGUMENTS, content_pb2.Part(tool_call=call), key)

    def arguments(self, key: object, fragment: str, candidate: int = 0) -> None:
        """More of a call's arguments."""
        growing = self._candidate(candidate)
        part = growing.open.get(key)
        if part is None:
            raise UpstreamFailure(FailureKind.BROKEN)
        if fragment:
            self._append(growing, part, fragment)

    def part(self, part: content_pb2.Part, candidate: int = 0) -> None:
        """A part that arrives whole."""
        growing = self._candidate(candidate)
        self._close_text(growing)
        index = self._begin(growing, part, _kind_only(part))
        self._complete(growing, index, part)

    def citation(self, citation: content_pb2.Citation, candidate: int = 0) -> None:
        """A source of the text part that grows; without one, a text part begins."""
        growing = self._candidate(candidate)
        part = growing.current
        if part is None or part.delta != TEXT:
            part = self._open(growing, TEXT, _new_text())
        part.proto.text.citations.append(citation)
        if self._streaming:
            self._flush()
            self._event_of(growing, part).citation.CopyFrom(citation)

    def state(self, state: content_pb2.ProviderState, candidate: int = 0, key: object = None) -> None:
        """The provider's state of the part that grows (or of the tool call `key`); else of an empty text part."""
        growing = self._candidate(candidate)
        part = growing.open.get(key) if key is not None else growing.current
        if part is None:
            part = self._open(growing, TEXT, _new_text())
        part.proto.provider_state.MergeFrom(state)
        if self._streaming:
            self._flush()
            self._event_of(growing, part).provider_state = state.data

    def close_part(self, candidate: int = 0, key: object = None) -> None:
        """The part that grows (or the tool call `key`) is whole."""
        growing = self._candidate(candidate)
        part = growing.open.get(key) if key is not None else growing.current
        if part is not None:
            self._close(growing, part)

    def logprobs(self, logprobs: Iterable[chat_pb2.TokenLogprob], candidate: int = 0) -> None:
        """Probabilities of the candidate's next tokens."""
        self._candidate(candidate).proto.logprobs.extend(logprobs)

    def finish(
        self, reason: chat_pb2.FinishReason.ValueType, provider_reason: str, stop_sequence: str = "", candidate: int = 0
    ) -> None:
        """The candidate is done. Some providers say so twice; the first time counts."""
        done = self._candidate(candidate)
        if done.finished:
            return
        for part in list(done.open.values()):
            self._close(done, part)
        done.finished = True
        done.proto.finish_reason = reason
        done.proto.provider_finish_reason = provider_reason
        done.proto.stop_sequence = stop_sequence

    # What listeners ask.

    @property
    def finished(self) -> bool:
        """Every candidate is done, and there is one."""
        for each in self._candidates.values():  # a generator costs more than all that it looks at
            if not each.finished:
                return False
        return bool(self._candidates)

    def has_tool_calls(self, candidate: int = 0) -> bool:
        """Whether the candidate calls a tool that the caller must run."""
        for part in self._candidate(candidate).parts:
            if part.HasField("tool_call") and part.tool_call.executor == content_pb2.TOOL_EXECUTOR_CALLER:
                return True
        return False

    def has_refusal(self, candidate: int = 0) -> bool:
        """Whether the candidate declines to answer."""
        return any(part.HasField("refusal") for part in self._candidate(candidate).parts)

    def growing_text(self, candidate: int = 0) -> str:
        """The text part that still grows, as far as it has come; empty where none does."""
        part = self._candidate(candidate).current
        return "".join(part.pieces) if part is not None and part.delta == TEXT else ""

    def drain(self) -> list[chat_pb2.ChatEvent]:
        """The events since last time, without sequence numbers."""
        self._flush()
        events, self._events = self._events, []
        return events

    def endings(self) -> list[chat_pb2.ChatEvent]:
        """The last events: each candidate's end."""
        return [_ending(each.proto) for each in self._ordered()]

    def ends(self) -> list[chat_pb2.Candidate]:
        """How each candidate ended so far, without its message."""
        return [each.proto for each in self._ordered()]

    def candidates(self) -> list[chat_pb2.Candidate]:
        """The answers as far as they are known."""
        whole = chat_pb2.Completion()
        self.write(whole.candidates)
        return list(whole.candidates)

    def write(self, candidates: _Candidates) -> None:
        """Spell the answers, as far as they are known, at the end of a list."""
        for each in self._ordered():
            for part in each.open.values():
                part.fill()
            whole = candidates.add()
            whole.CopyFrom(each.proto)
            whole.message.role = content_pb2.ROLE_ASSISTANT
            whole.message.parts.extend(each.parts)

    # How parts grow.

    def _ordered(self) -> Collection[_Candidate]:
        if len(self._candidates) <= 1:
            return self._candidates.values()
        return [self._candidates[index] for index in sorted(self._candidates)]

    def _candidate(self, index: int) -> _Candidate:
        candidate = self._candidates.get(index)
        if candidate is None:
            candidate = self._candidates[index] = _Candidate(index)
        return candidate

    def _grow(self, delta: str, new: Callable[[], content_pb2.Part], text: str, candidate: int) -> None:
        if not text:
            return
        growing = self._candidates.get(candidate) or self._candidate(candidate)
        part = growing.current
        if part is None or part.delta != delta:
            part = self._open(growing, delta, new())
        self._append(growing, part, text)

    def _append(self, growing: _Candidate, part: _OpenPart, text: str) -> None:
        self.delta_count += 1
        self.output_chars += len(text)
        part.pieces.append(text)
        if self._streaming:
            if self._delta is None or self._delta[1] is not part:
                self._flush()
                self._delta = (growing, part)
            self._pieces.append(text)

    def _open(self, growing: _Candidate, delta: str, proto: content_pb2.Part, key: object = None) -> _OpenPart:
        self._close_text(growing)
        part = _OpenPart(self._begin(growing, proto, proto), proto, delta, key)
        growing.open[part if key is None else key] = part
        growing.current = part
        return part

    def _begin(self, growing: _Candidate, proto: content_pb2.Part, known: content_pb2.Part) -> int:
        if growing.finished:
            raise UpstreamFailure(FailureKind.BROKEN)
        self.has_content = True
        index = len(growing.parts)
        growing.parts.append(proto)
        if self._streaming:
            self._flush()
            started = self._new_event().part_started
            started.candidate_index = growing.index
            started.part_index = index
            started.part.CopyFrom(known)
        return index

    def _close_text(self, growing: _Candidate) -> None:
        """Text and thoughts end where another part begins; tool calls may grow side by side."""
        part = growing.current
        if part is not None and part.delta != ARGUMENTS:
            self._close(growing, part)

    def _close(self, growing: _Candidate, part: _OpenPart) -> None:
        growing.open.pop(part if part.key is None else part.key, None)
        if growing.current is part:
            growing.current = None
        self._complete(growing, part.index, part.fill())

    def _complete(self, growing: _Candidate, index: int, part: content_pb2.Part) -> None:
        if self._streaming:
            self._flush()
            completed = self._new_event().part_completed
            completed.candidate_index = growing.index
            completed.part_index = index
            completed.part.CopyFrom(part)

    def _flush(self) -> None:
        """Make one event of the pieces that came since the last."""
        if self._delta is None:
            return
        growing, part = self._delta
        setattr(self._event_of(growing, part), part.delta, "".join(self._pieces))
        self._delta = None
        self._pieces.clear()

    def _event_of(self, growing: _Candidate, part: _OpenPart) -> chat_pb2.PartDelta:
        delta = self._new_event().part_delta
        delta.candidate_index = growing.index
        delta.part_index = part.index
        return delta

    def _new_event(self) -> chat_pb2.ChatEvent:
        event = chat_pb2.ChatEvent()
        self._events.append(event)
        return event


def _kind_only(part: content_pb2.Part) -> content_pb2.Part:
    kind = content_pb2.Part()
    getattr(kind, part.WhichOneof("kind") or "text").SetInParent()
    return kind


def _new_text() -> content_pb2.Part:
    return content_pb2.Part(text=content_pb2.TextPart())


def _new_reasoning() -> content_pb2.Part:
    return content_pb2.Part(reasoning=content_pb2.ReasoningPart())


def _new_refusal() -> content_pb2.Part:
    return content_pb2.Part(refusal=content_pb2.RefusalPart())


def _fill_arguments(call: content_pb2.ToolCallPart, text: str) -> None:
    call.arguments_json = text or "{}"
    call.state = content_pb2.TOOL_CALL_STATE_READY if _is_object(text) else content_pb2.TOOL_CALL_STATE_INVALID


def _is_object(text: str) -> bool:
    try:
        return not text or isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _ending(candidate: chat_pb2.Candidate) -> chat_pb2.ChatEvent:
    ended = chat_pb2.CandidateCompleted(
        candidate_index=candidate.index,
        finish_reason=candidate.finish_reason,
        provider_finish_reason=candidate.provider_finish_reason,
        stop_sequence=candidate.stop_sequence,
        logprobs=candidate.logprobs,
    )
    return chat_pb2.ChatEvent(candidate_completed=ended)
