"""Where a guarded answer goes through on its way to the caller: the screen, and the moderation model behind it."""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.v1 import chat_pb2, guard_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.guard.answer_screen import AnswerScreen
from trunkline_server.core.guard.rewriting import collected
from trunkline_server.core.guard.shield import Shield
from trunkline_server.gateway.guards.judge import Judge, Verdict


class Gate:
    """For one attempt at one answer. `is_json`: its text is meant to be JSON."""

    __slots__ = ("_judge", "_screen", "_shield", "_whole")

    def __init__(self, shield: Shield, *, is_json: bool) -> None:
        shield.forget_answer()
        self._shield = shield
        self._screen = AnswerScreen(shield, is_json=is_json)
        self._judge = Judge() if shield.armed.judges_answer else None
        self._whole: list[chat_pb2.Candidate] | None = None

    @property
    def is_judged(self) -> bool:
        """A stream must be heard out before its events are told."""
        return self._judge is not None

    @property
    def blocked(self) -> bool:
        """The answer ended here, whatever else the model has to say."""
        return self._screen.blocked or (self._judge is not None and bool(self._judge.blocked))

    # A stream.

    async def hear(self, answer: Answer, verdict: Verdict, *, last: bool = False) -> None:
        """Have what came in judged, where that is due."""
        judge = self._judge
        if judge is not None and await judge.hear(self._screen.events(answer.drain()), verdict, last=last):
            self._count(judge.blocked)

    def events(self, answer: Answer) -> list[chat_pb2.ChatEvent]:
        """What may be told since last time."""
        return self._screen.events(answer.drain()) if self._judge is None else self._judge.released()

    def endings(self, answer: Answer) -> list[chat_pb2.ChatEvent]:
        """How each candidate ended."""
        if self.blocked:
            _end_filtered(answer.ends())
        return self._screen.events(answer.endings())

    # A whole answer.

    async def look_through(self, answer: Answer, verdict: Verdict) -> None:
        """Whatever is wrong with it is gone afterwards."""
        self._whole = answer.candidates()
        self._screen.candidates(self._whole)
        if self._judge is not None and (category := await verdict(_texts(self._whole))):
            self._judge.blocked = category
            self._count(category)
            for candidate in self._whole:
                del candidate.message.parts[:]
        if self.blocked:
            _end_filtered((*answer.ends(), *self._whole))

    def candidates(self, answer: Answer) -> list[chat_pb2.Candidate]:
        """The answer as the caller may have it."""
        return answer.candidates() if self._whole is None else self._whole

    def _count(self, category: str) -> None:
        self._shield.count(category, guard_pb2.GUARD_ACTION_REFUSE, in_answer=True)


def _texts(candidates: Iterable[chat_pb2.Candidate]) -> list[str]:
    texts: list[str] = []
    note = collected(texts)
    for candidate in candidates:
        for part in candidate.message.parts:
            note.part(part)
    return texts


def _end_filtered(candidates: Iterable[chat_pb2.Candidate]) -> None:
    for candidate in candidates:
        candidate.finish_reason = chat_pb2.FINISH_REASON_CONTENT_FILTER
