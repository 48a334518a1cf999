"""An answer on its way to the caller, part by part through the stages of its call's shield.

told ──(something that must not be told)──▶ blocked: parts that were begun end where they are, nothing new begins
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.guard.pipe import passed
from trunkline_server.core.guard.rewriting import Rewriter
from trunkline_server.core.guard.screen import Stage
from trunkline_server.core.guard.shield import Shield

_Place = tuple[int, int]
_MAIN: Final = {"text": "text", "refusal": "text", "reasoning": "text", "tool_call": "arguments_json"}
"""The field of a part that grows in a stream, by the kind of the part."""
_DELTAS: Final = {"text": "text", "refusal": "refusal", "reasoning": "reasoning", "tool_call": "arguments_json"}


class _Growing:
    """A part of a stream: its stage, and what of it was told. Some parts come whole, without growing."""

    __slots__ = ("grew", "kind", "stage", "told")

    def __init__(self, kind: str, stage: Stage) -> None:
        self.kind = kind
        self.grew = False
        self.stage = stage
        self.told: list[str] = []

    def feed(self, text: str) -> str:
        self.grew = True
        told = self.stage.feed(text)
        self.told.append(told)
        return told

    def close(self) -> str:
        told = self.stage.close()
        self.told.append(told)
        return told


class AnswerScreen:
    """`is_json`: the text of the answer is meant to be JSON."""

    __slots__ = ("_is_json", "_open", "_rewriter", "_shield", "blocked")

    def __init__(self, shield: Shield, *, is_json: bool) -> None:
        self.blocked = False
        self._shield = shield
        self._is_json = is_json
        self._open: dict[_Place, _Growing] = {}
        plain, json = self._whole(shield.plain), self._whole(shield.json)
        self._rewriter = Rewriter(plain, json, json if is_json else plain)

    # What a stream says.

    def events(self, events: Iterable[chat_pb2.ChatEvent]) -> list[chat_pb2.ChatEvent]:
        """Those that may be told, changed in place."""
        told: list[chat_pb2.ChatEvent] = []
        for event in events:
            self._event(event, told)
        return told

    def _event(self, event: chat_pb2.ChatEvent, told: list[chat_pb2.ChatEvent]) -> None:
        match event.WhichOneof("event"):
            case "part_started":
                if not self.blocked:
                    self._begin(event.part_started)
                    told.append(event)
            case "part_delta":
                if not self.blocked and self._grow(event.part_delta):
                    told.append(event)
            case "part_completed":
                self._end(event, told)
            case "candidate_completed":
                if self._shield.found_in_answer:
                    del event.candidate_completed.logprobs[:]
                told.append(event)
            case _:
                told.append(event)

    def _begin(self, started: chat_pb2.PartStarted) -> None:
        kind = started.part.WhichOneof("kind") or ""
        is_json = kind == "tool_call" or (kind == "text" and self._is_json)
        stage = self._shield.json() if is_json else self._shield.plain()
        self._open[started.candidate_index, started.part_index] = _Growing(kind, stage)

    def _grow(self, delta: chat_pb2.PartDelta) -> bool:
        """Whether there is something of it to tell now."""
        name = delta.WhichOneof("delta")
        if name == "citation":
            self._rewriter.citation(delta.citation)
        elif name in ("text", "refusal", "reasoning", "arguments_json"):
            growing = self._open[delta.candidate_index, delta.part_index]
            text = growing.feed(getattr(delta, name))
            self.blocked = self.blocked or growing.stage.blocked
            setattr(delta, name, text)
            return bool(text)
        return not self.blocked

    def _end(self, event: chat_pb2.ChatEvent, told: list[chat_pb2.ChatEvent]) -> None:
        completed = event.part_completed
        growing = self._open.pop((completed.candidate_index, completed.part_index), None)
        if growing is None:
            return
        was_blocked = self.blocked
        rest = growing.close()
        self.blocked = was_blocked or growing.stage.blocked
        if rest:
            told.append(_delta(completed, growing.kind, rest))
        self._fill(completed.part, growing, was_blocked=was_blocked)
        told.append(event)

    def _fill(self, part: content_pb2.Part, growing: _Growing, *, was_blocked: bool) -> None:
        """A part that grew is what was told of it; one that came whole is looked through here."""
        if growing.grew or was_blocked:
            body, name = getattr(part, growing.kind), _MAIN[growing.kind]
            setattr(body, name, "")
            self._rewriter.part(part)
            setattr(body, name, "".join(growing.told))
        else:
            self._rewriter.part(part)
        if self.blocked and growing.kind == "tool_call":
            part.tool_call.state = content_pb2.TOOL_CALL_STATE_INVALID

    # What a whole answer says.

    def candidates(self, candidates: list[chat_pb2.Candidate]) -> None:
        """Changed in place; where it is blocked, the rest is taken out."""
        for candidate in candidates:
            parts = candidate.message.parts
            for place, part in enumerate(parts):
                if self.blocked:
                    del parts[place:]
                    break
                self._part(part)
            if self._shield.found_in_answer:
                del candidate.logprobs[:]

    def _part(self, part: content_pb2.Part) -> None:
        self._rewriter.part(part)
        if self.blocked and part.HasField("tool_call"):
            part.tool_call.state = content_pb2.TOOL_CALL_STATE_INVALID

    def _whole(self, stage_of: Callable[[], Stage]) -> Callable[[str], str]:
        def change(text: str) -> str:
            stage = stage_of()
            told = passed(stage, text)
            self.blocked = self.blocked or stage.blocked
            return told

        return change


def _delta(completed: chat_pb2.PartCompleted, kind: str, text: str) -> chat_pb2.ChatEvent:
    event = chat_pb2.ChatEvent()
    delta = event.part_delta
    delta.candidate_index, delta.part_index = completed.candidate_index, completed.part_index
    setattr(delta, _DELTAS[kind], text)
    return event
