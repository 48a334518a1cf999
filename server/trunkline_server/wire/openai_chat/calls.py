"""Tool calls in an answer: which call a fragment belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from trunkline.v1 import content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.openai_chat.shapes import Function, ToolCall

FREE_TEXT: Final = b"custom"  # the state of a call whose input is no JSON


class _Growing(NamedTuple):
    key: int
    call_id: str


class Calls:
    """Fragments find their call by its place in the list; servers that leave that out send whole calls with an id."""

    __slots__ = ("_answer", "_begun", "_growing", "_provider")

    def __init__(self, provider: str, answer: Answer) -> None:
        self._provider = provider
        self._answer = answer
        self._growing: dict[tuple[int, object], _Growing] = {}
        self._begun = 0

    def hear(self, fragments: Sequence[ToolCall], candidate: int) -> None:
        for fragment in fragments:
            place = (candidate, fragment.id if fragment.index is None else fragment.index)
            if self._begins(fragment, place):
                self._begin(fragment, place)
            self._grow(fragment, place)

    def _begins(self, fragment: ToolCall, place: tuple[int, object]) -> bool:
        """A fragment with a name begins a call, unless it only repeats the name of the call that grows in its place."""
        if not _name(fragment):
            return False
        growing = self._growing.get(place)
        return growing is None or place[1] is None or bool(fragment.id and fragment.id != growing.call_id)

    def _begin(self, fragment: ToolCall, place: tuple[int, object]) -> None:
        self._begun += 1
        self._growing[place] = _Growing(self._begun, fragment.id or "")
        self._answer.tool_call(self._begun, fragment.id or "", _name(fragment), place[0])
        if fragment.custom is not None:
            state = content_pb2.ProviderState(provider=self._provider, model=self._answer.model, data=FREE_TEXT)
            self._answer.state(state, place[0], self._begun)

    def _grow(self, fragment: ToolCall, place: tuple[int, object]) -> None:
        growing = self._growing.get(place)
        if growing is None:
            raise UpstreamFailure(FailureKind.BROKEN)
        self._answer.arguments(growing.key, _arguments(fragment), place[0])


def _name(fragment: ToolCall) -> str:
    return (fragment.function or fragment.custom or Function()).name or ""


def _arguments(fragment: ToolCall) -> str:
    if fragment.custom is not None:
        return fragment.custom.input or ""
    return (fragment.function or Function()).arguments or ""
