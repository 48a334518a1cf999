"""One task on its way: the questions that it asks of a model, and the answers, judged by the form they should have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import orjson

from trunkline.v1 import chat_pb2, content_pb2, models_pb2, tasks_pb2
from trunkline_server.core import question, schema
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.core.estimate import input_tokens
from trunkline_server.core.tasks.pieces import cut
from trunkline_server.core.tasks.task import Rules, Said, Task
from trunkline_server.gateway.admission import Admission
from trunkline_server.gateway.chat_run import ChatRun
from trunkline_server.gateway.output import Output
from trunkline_server.gateway.routes import Route
from trunkline_server.gateway.tasks.bill import TaskBill
from trunkline_server.gateway.tasks.prompts import TaskPrompt

WINDOW_UNKNOWN: Final = 8192
OUTPUT_UNKNOWN: Final = 4096
ROOM_MIN: Final = 128
PIECES_MAX: Final = 500
REPEATED_SHARE: Final = 0.6
"""Of the longest answer, where the answer is as long as the text: other languages take more tokens."""
_FORM: Final = "Answer with JSON that meets this JSON Schema, and with nothing else, not even a code fence.\n"
_WITHOUT_FORM: Final = frozenset((Reason.PROVIDER_REJECTED, Reason.CAPABILITY_UNSUPPORTED))
"""What a call ends with where a model cannot be held to a form."""
_WITHHELD: Final = (Reason.PROVIDER_REJECTED, "the provider withheld the answer")
_ENDED: Final[Mapping[int, tuple[Reason, str]]] = {
    chat_pb2.FINISH_REASON_MAX_COST: (Reason.CREDIT_INSUFFICIENT, "options.max_cost is used up"),
    chat_pb2.FINISH_REASON_CONTENT_FILTER: _WITHHELD,
    chat_pb2.FINISH_REASON_RECITATION: _WITHHELD,
    chat_pb2.FINISH_REASON_REFUSAL: (Reason.PROVIDER_REJECTED, "the model declined"),
}
"""What an answer without its form is told as, by how it ended."""


class Asker(Protocol):
    """The gateway, with kept answers before it or without."""

    @property
    def admission(self) -> Admission:
        """Who may answer."""

    async def complete(self, call: Call, input: chat_pb2.ChatInput) -> ChatRun:
        """The answer to a question."""


@dataclass
class Asking:
    """`base` is a question without its words; `bill` grows with each that is asked. A model whose provider refuses the
    form of an answer is told of it in words from then on."""

    asker: Asker
    call: Call
    task: Task
    prompt: TaskPrompt
    base: chat_pb2.ChatInput
    bill: TaskBill = field(default_factory=TaskBill)
    is_told: bool = field(init=False)

    def __post_init__(self) -> None:
        self.is_told = models_pb2.CAPABILITY_JSON_SCHEMA not in self.route.upstream.provider.capabilities

    @property
    def route(self) -> Route:
        return self.asker.admission.candidates.first(self.call, self.base)

    def pieces(self, text: str, piece_tokens: int) -> list[str]:
        """The text in pieces that the model takes. Raises VALIDATION where they would be too many."""
        if not self.task.may_cut:
            return [text]
        pieces = cut(text, self._room(piece_tokens))
        if len(pieces) > PIECES_MAX:
            raise invalid(f"{self.task.name}.text", f"would be cut into more than {PIECES_MAX} pieces for this model")
        return pieces

    def questions(self, pieces: Sequence[str]) -> list[chat_pb2.ChatInput]:
        """What is asked about each."""
        if len(pieces) == 1:
            return [self._question(pieces[0], "", self.task.rules())]
        rules, count = self.task.piece_rules(), len(pieces)
        parts = [f"This is part {number} of {count} of a longer text.\n" for number in range(1, count + 1)]
        return [self._question(piece, part, rules) for piece, part in zip(pieces, parts, strict=True)]

    async def ask(self, piece: str, input: chat_pb2.ChatInput, *, alone: bool) -> Said:
        """One of them. Raises OUTPUT_INVALID, CREDIT_INSUFFICIENT, CONTENT_BLOCKED, PII_DETECTED, PROVIDER_REJECTED."""
        rules = self.task.rules() if alone else self.task.piece_rules()
        run = await self._formed(input)
        return Said(piece, _read(run or await self._told(input, rules), rules))

    async def _formed(self, input: chat_pb2.ChatInput) -> ChatRun | None:
        """The provider holds the answer to its form; None where it does not."""
        try:
            return None if self.is_told else await self._answered(input)
        except TrunklineError as error:
            if error.reason not in _WITHOUT_FORM:
                raise
            self.is_told = True
            return None

    async def _told(self, formed: chat_pb2.ChatInput, rules: Rules) -> ChatRun:
        """The form is told in words; a wrong answer is asked for once more, as the gateway does by itself otherwise."""
        input = chat_pb2.ChatInput()
        input.CopyFrom(formed)
        input.ClearField("output_format")
        input.messages.add(role=content_pb2.ROLE_USER).parts.add().text.text = _FORM + orjson.dumps(rules).decode()
        run, output = await self._answered(input), Output(formed)
        return await self._answered(output.repair(input, run.answer)) if output.faults(run.answer) else run

    async def _answered(self, input: chat_pb2.ChatInput) -> ChatRun:
        """Within what is left to spend."""
        if self.base.HasField("max_cost"):
            input.max_cost.nanos = self.bill.left_nanos(self.base.max_cost.nanos)
        inner = replace(self.call, trailers={}, facts={})
        try:
            run = await self.asker.complete(inner, input)
        finally:
            self.bill.charge(self.call, inner)
        self.bill.runs.append(run)
        return run

    def _question(self, text: str, part: str, rules: Rules) -> chat_pb2.ChatInput:
        input = chat_pb2.ChatInput()
        input.CopyFrom(self.base)
        input.messages.extend(self.prompt.render({**self.task.words(), "text": text, "part": part}))
        input.output_format.json_schema.name = self.task.name
        input.output_format.json_schema.json_schema = orjson.dumps(rules).decode()
        return input

    def _room(self, piece_tokens: int) -> int:
        """Tokens for a piece: what the model takes and says, less what stands around it."""
        route = self.route
        around = input_tokens(self._question("", "", self.task.rules()))
        window = route.context_window or WINDOW_UNKNOWN
        longest = (route.entry.max_output_tokens if route.entry else 0) or OUTPUT_UNKNOWN
        if self.base.sampling.HasField("max_output_tokens"):
            longest = self.base.sampling.max_output_tokens
        room = min(piece_tokens, (window - around) // 2)
        return max(min(room, int(longest * REPEATED_SHARE)) if self.task.repeats else room, ROOM_MIN)


def base_of(options: tasks_pb2.TaskOptions, task: Task, models: Sequence[str]) -> chat_pb2.ChatInput:
    """What every question of a task has, with the operator's models where the caller names none. Raises VALIDATION."""
    base = chat_pb2.ChatInput(model=options.model or (models[0] if models else ""))
    if not base.model:
        raise invalid("options.model", "is missing, and the operator has set none for this task (tasks.models)")
    for name in ("routing", "sampling", "cache", "guard", "max_cost"):
        if options.HasField(name):
            getattr(base, name).CopyFrom(getattr(options, name))
    base.labels.update(options.labels)
    base.provider_options_json.update(options.provider_options_json)
    if not options.model and not base.routing.fallback_models:
        base.routing.fallback_models.extend(models[1:])
    if task.exact and not base.sampling.HasField("temperature"):
        base.sampling.temperature = 0
    _check(base)
    return base


def _check(base: chat_pb2.ChatInput) -> None:
    """With the paths of a task's request."""
    try:
        question.check_terms(base)
    except TrunklineError as error:
        wrong = error.violations[0]
        raise invalid(wrong.field.replace("input.", "options.", 1), wrong.description, error.reason) from None


def _read(run: ChatRun, rules: Rules) -> object:
    """The answer's value. Raises why it has none."""
    text = "".join(part.text.text for candidate in run.told()[:1] for part in candidate.message.parts)
    if not schema.compile(orjson.dumps(rules).decode(), "schema").faults(text):
        return orjson.loads(text)
    raise _missing(run)


def _missing(run: ChatRun) -> TrunklineError:
    """Why there is no answer of the right form."""
    reason = run.finish_reason
    error = run.shield.refusal() if run.shield is not None else None
    if error is None and reason in _ENDED:
        error = TrunklineError(*_ENDED[reason])
    if error is None:
        ended = chat_pb2.FinishReason.Name(reason)
        error = TrunklineError(Reason.OUTPUT_INVALID, f"the model's answer has the wrong form; it ended with {ended}")
    error.partial = run.partial()
    return error
