"""A guard at work on one call: what is masked in its question comes back in its answer; what is found is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from google.protobuf.message import Message

from trunkline.v1 import chat_pb2, guard_pb2
from trunkline_server.core.errors import FieldViolation, Reason, TrunklineError
from trunkline_server.core.guard.answered_texts import replaced, rows_of, withhold
from trunkline_server.core.guard.json_stage import JsonStage
from trunkline_server.core.guard.pipe import Pipe, passed
from trunkline_server.core.guard.policy import Armed, Watch
from trunkline_server.core.guard.rewriting import Rewriter, collected
from trunkline_server.core.guard.screen import Replace, Screen, Stage
from trunkline_server.core.guard.vault import Restorer, Vault


class Shield:
    """`question` comes first; then each text of the answer goes through a stage of its own."""

    __slots__ = ("_counts", "armed", "asked", "vault")

    def __init__(self, armed: Armed) -> None:
        self.armed = armed
        self.asked: list[str] = []
        """The texts of the question, as the provider may see them."""
        self.vault = Vault()
        self._counts: Counter[tuple[str, bool, guard_pb2.GuardAction.ValueType]] = Counter()

    @property
    def guards_answer(self) -> bool:
        """The answer has to be looked through."""
        return self.armed.answer is not None or bool(self.vault)

    @property
    def found_in_answer(self) -> bool:
        return any(in_answer for _, in_answer, _ in self._counts)

    def findings(self) -> list[guard_pb2.GuardFinding]:
        """What was found so far, by kind."""
        return [
            guard_pb2.GuardFinding(kind=kind, in_answer=in_answer, action=action, count=count)
            for (kind, in_answer, action), count in sorted(self._counts.items())
        ]

    def refusal(self) -> TrunklineError | None:
        """What the answer was refused for, if it was; harm before personal data."""
        refused = guard_pb2.GUARD_ACTION_REFUSE
        kinds = [kind for kind, in_answer, action in sorted(self._counts) if in_answer and action == refused]
        if not kinds:
            return None
        watch = self.armed.answer
        personal = {finder.kind for finder in watch.finders} - watch.harms if watch is not None else set()
        harm = next((kind for kind in kinds if kind not in personal), "")
        return _withheld(Reason.CONTENT_BLOCKED, harm) if harm else _withheld(Reason.PII_DETECTED, kinds[0])

    def count(self, kind: str, action: guard_pb2.GuardAction.ValueType, *, in_answer: bool) -> None:
        self._counts[kind, in_answer, action] += 1

    def forget_answer(self) -> None:
        """The answer begins anew."""
        for key in [key for key in self._counts if key[1]]:
            del self._counts[key]

    # The question.

    def question(self, input: chat_pb2.ChatInput) -> chat_pb2.ChatInput:
        """It as the provider may see it. Raises CONTENT_BLOCKED, PII_DETECTED."""
        watch = self.armed.question
        if watch is None:
            return input
        masked = chat_pb2.ChatInput()
        masked.CopyFrom(input)
        texts: list[str] = []
        collected(texts).question(masked)
        self.vault.avoid(texts)
        self.rewriter(watch).question(masked)
        collected(self.asked).question(masked)
        return masked

    def text(self, text: str) -> str:
        """A text that is asked for something that has no words to put values back into."""
        watch = self.armed.question
        if watch is None:
            return text
        self.asked.append(passed(Screen(watch.finders, self._asked(watch, masks=False)), text))
        return self.asked[-1]

    def options(self, text: str) -> str:
        """JSON that goes to such a thing beside it."""
        watch = self.armed.question
        if watch is None:
            return text
        replace = self._asked(watch, masks=False)
        self.asked.append(passed(_json(lambda: Screen(watch.finders, replace), watch, replace), text))
        return self.asked[-1]

    def rewriter(self, watch: Watch) -> Rewriter:
        replace = self._asked(watch, masks=True)

        def plain(text: str) -> str:
            return passed(Screen(watch.finders, replace), text)

        def json(text: str) -> str:
            return passed(_json(lambda: Screen(watch.finders, replace), watch, replace), text)

        return Rewriter(plain, json, plain)

    def _asked(self, watch: Watch, *, masks: bool) -> Replace:
        def replace(kind: str, value: str) -> str:
            if kind in watch.harms:
                raise blocked(kind)
            if watch.action == guard_pb2.GUARD_ACTION_REFUSE:
                raise detected(kind)
            self.count(kind, watch.action, in_answer=False)
            keeps = masks and watch.action == guard_pb2.GUARD_ACTION_MASK
            return self.vault.mask(kind, value) if keeps else f"[{kind}]"

        return replace

    # The answer.

    def plain(self) -> Stage:
        """For a text of the answer."""
        watch = self.armed.answer
        return Restorer(self.vault) if watch is None else self._screened(watch, self._told(watch))

    def json(self) -> Stage:
        """For JSON of the answer."""
        watch = self.armed.answer
        if watch is None:
            return JsonStage(lambda: Restorer(self.vault), lambda: Restorer(self.vault))
        return _json(lambda: self._screened(watch, self._told(watch)), watch, self._told(watch), self.vault)

    def answered(self, body: Message) -> bool:
        """Looks through an answer that is no chat, in place; whether it may be told."""
        watch = self.armed.answer
        if watch is None:
            return True
        for row in rows_of(body):
            texts = replaced(row.texts, watch.finders, self._told(watch, is_counted=not row.repeats))
            if texts is None:
                withhold(body)
                return False
            row.write(texts)
        return True

    def _screened(self, watch: Watch, replace: Replace) -> Stage:
        screen = Screen(watch.finders, replace)
        return Pipe(screen, Restorer(self.vault)) if self.vault else screen

    def _told(self, watch: Watch, *, is_counted: bool = True) -> Replace:
        def replace(kind: str, _: str) -> str | None:
            refuses = kind in watch.harms or watch.action == guard_pb2.GUARD_ACTION_REFUSE
            if is_counted:
                action = guard_pb2.GUARD_ACTION_REFUSE if refuses else guard_pb2.GUARD_ACTION_REDACT
                self.count(kind, action, in_answer=True)
            return None if refuses else f"[{kind}]"

        return replace


def _json(inside: Callable[[], Stage], watch: Watch, replace: Replace, vault: Vault | None = None) -> JsonStage:
    """Between strings, what takes the place of a number is a string."""

    def quoted(kind: str, value: str) -> str | None:
        replaced = replace(kind, value)
        return None if replaced is None else f'"{replaced}"'

    def between() -> Stage:
        screen = Screen(watch.finders, quoted)
        return Pipe(screen, Restorer(vault)) if vault else screen

    return JsonStage(inside, between)


def blocked(category: str) -> TrunklineError:
    """The question is harmful."""
    message = f"the guard refuses the question: {category}"
    return TrunklineError(Reason.CONTENT_BLOCKED, message, _whole_input(category), metadata={"category": category})


def detected(kind: str) -> TrunklineError:
    """The question has personal data."""
    message = f"the guard found personal data in the question: {kind}; take it out, or let the guard mask it"
    return TrunklineError(Reason.PII_DETECTED, message, _whole_input(kind), metadata={"category": kind})


def _withheld(reason: Reason, kind: str) -> TrunklineError:
    return TrunklineError(reason, f"the guard refuses the answer: {kind}", metadata={"category": kind})


def _whole_input(kind: str) -> tuple[FieldViolation, ...]:
    return (FieldViolation("input", f"contains {kind}"),)
