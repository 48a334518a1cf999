"""A moderation model's word on texts; and a stream that waits for it, sentence by sentence.

told by the screen ──▶ pending ──(judged, a sentence at a time)──▶ released
                            └──(harmful)──▶ blocked: parts that were begun end where they are
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from trunkline.v1 import chat_pb2, content_pb2, moderation_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.operation import Operation
from trunkline_server.gateway.errand_work import ErrandWork
from trunkline_server.store.leased_ledger import apart

if TYPE_CHECKING:
    from trunkline_server.gateway.gateway import Gateway

Verdict = Callable[[Sequence[str]], Awaitable[str]]
"""The category of harm in texts; empty where there is none."""

SENTENCE_CHARS_MIN: Final = 160
PENDING_CHARS_MAX: Final = 800
PIECE_CHARS: Final = 8000
TEXTS_MAX: Final = 256
_ENDS: Final = (".", "!", "?", "\n", "\u3002", "\uff01", "\uff1f")
_GROWING: Final = {"text": "text", "refusal": "text", "reasoning": "text", "tool_call": "arguments_json"}


async def harm_in(gateway: Gateway, call: Call, model: str, texts: Sequence[str], *, is_standing: bool) -> str:
    """By a call of its own, which is charged. What the tenant has said to ask, every key of it may ask."""
    whole = "\n\n".join(texts)
    size = max(PIECE_CHARS, -(-len(whole) // TEXTS_MAX))
    pieces = [whole[begin : begin + size] for begin in range(0, len(whole), size)]
    if not whole.strip():
        return ""
    caller = replace(call.caller, allowed_models=()) if is_standing else call.caller
    own = replace(call, caller=caller, trailers={}, facts={}, on_silence=None)
    input = moderation_pb2.ModerationInput(model=model, texts=pieces)
    work: ErrandWork[moderation_pb2.ModerationInput, Any] = ErrandWork(input, kind=Operation.MODERATION)
    with apart():
        run = await gateway.perform(own, work)
    return next((_category(result) for result in run.product.body.results if result.flagged), "")


def _category(result: moderation_pb2.ModerationResult) -> str:
    flagged = [each for each in result.categories if each.flagged]
    return max(flagged, key=lambda each: each.score).name if flagged else "harm"


class Judge:
    """One stream's events on their way."""

    __slots__ = ("_begun", "_pending", "_ready", "blocked")

    def __init__(self) -> None:
        self.blocked = ""
        self._pending: list[chat_pb2.ChatEvent] = []
        self._ready: list[chat_pb2.ChatEvent] = []
        self._begun: dict[tuple[int, int], content_pb2.Part] = {}

    def released(self) -> list[chat_pb2.ChatEvent]:
        """What may be told now."""
        ready, self._ready = self._ready, []
        return ready

    async def hear(self, events: Iterable[chat_pb2.ChatEvent], verdict: Verdict, *, last: bool = False) -> bool:
        """Judges what has come together, where that is a sentence or the end; whether it blocks the answer now."""
        if self.blocked:
            return False
        self._pending += events
        texts = [text for event in self._pending if (text := _text(event))]
        if last or _is_due(texts):
            self.blocked = await verdict(["".join(texts)]) if texts else ""
            self._release()
        return bool(self.blocked)

    def _release(self) -> None:
        if not self.blocked:
            for event in self._pending:
                self._note(event)
            self._ready += self._pending
        else:
            self._ready += [_cut(place, part) for place, part in self._begun.items()]
        self._pending = []

    def _note(self, event: chat_pb2.ChatEvent) -> None:
        """What the caller has of the parts that are not whole yet."""
        match event.WhichOneof("event"):
            case "part_started":
                started = event.part_started
                self._begun[started.candidate_index, started.part_index] = content_pb2.Part.FromString(
                    started.part.SerializeToString()
                )
            case "part_delta":
                _grow(self._begun[event.part_delta.candidate_index, event.part_delta.part_index], event)
            case "part_completed":
                self._begun.pop((event.part_completed.candidate_index, event.part_completed.part_index), None)
            case _:
                pass


def _text(event: chat_pb2.ChatEvent) -> str:
    """Of whole parts only what did not grow before: those that did are made of deltas."""
    delta = event.part_delta
    return delta.text or delta.refusal or delta.reasoning or delta.arguments_json


def _is_due(texts: Sequence[str]) -> bool:
    chars = sum(map(len, texts))
    return chars >= PENDING_CHARS_MAX or (chars >= SENTENCE_CHARS_MIN and texts[-1].rstrip(" ").endswith(_ENDS))


def _grow(part: content_pb2.Part, event: chat_pb2.ChatEvent) -> None:
    kind = part.WhichOneof("kind") or ""
    if kind in _GROWING:
        body, name = getattr(part, kind), _GROWING[kind]
        setattr(body, name, getattr(body, name) + _text(event))


def _cut(place: tuple[int, int], part: content_pb2.Part) -> chat_pb2.ChatEvent:
    if part.HasField("tool_call"):
        part.tool_call.state = content_pb2.TOOL_CALL_STATE_INVALID
    done = chat_pb2.PartCompleted(candidate_index=place[0], part_index=place[1], part=part)
    return chat_pb2.ChatEvent(part_completed=done)
