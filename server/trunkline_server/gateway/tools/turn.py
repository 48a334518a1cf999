"""A call in which the gateway runs tools: what was asked and said so far, and what comes next.

ask ──▶ calls? ──(none, or the caller's too)──▶ done
          ├──(a call awaits approval)──▶ PAUSED
          ├──(no round left)──▶ MAX_TOOL_ROUNDS
          └──▶ run ──▶ money left? ──(no)──▶ MAX_COST
                             └──▶ ask
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from trunkline.v1 import chat_pb2, content_pb2, errors_pb2
from trunkline_server.core import money
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.gateway import refusals
from trunkline_server.gateway.cache.hits import CACHE_TRAILER
from trunkline_server.gateway.gateway import COMPLETION_TRAILER
from trunkline_server.gateway.settlement import CHARGE_TRAILER
from trunkline_server.gateway.tools.approvals import Approvals
from trunkline_server.gateway.tools.runner import Ran
from trunkline_server.gateway.tools.tally import Tally
from trunkline_server.gateway.tools.toolbox import Kit

CALLING: Final = (chat_pb2.FINISH_REASON_TOOL_CALLS, chat_pb2.FINISH_REASON_STOP)
CUT: Final = (chat_pb2.FINISH_REASON_MAX_TOOL_ROUNDS, chat_pb2.FINISH_REASON_MAX_COST)


@dataclass(slots=True)
class ToolTurn:
    """`input` grows by what each round said; `parts` is the answer so far, of all rounds."""

    call: Call
    input: chat_pb2.ChatInput
    kit: Kit
    rounds_max: int
    approvals: Approvals
    tally: Tally = field(default_factory=Tally)
    parts: list[content_pb2.Part] = field(default_factory=list)
    round_call: Call = field(init=False)
    charged_nanos: int = 0
    is_over: bool = False
    """The gateway has ended it."""
    said: Sequence[content_pb2.Part] = ()
    """By the model, in the last round."""

    def __post_init__(self) -> None:
        self.round_call = self.call

    def begin_round(self) -> Call:
        """The round as a call of its own."""
        self.round_call = replace(self.call, trailers={}, facts={}, on_silence=None)
        return self.round_call

    def heard(self, round: chat_pb2.Completion) -> None:
        """What the model said in one piece, or has said."""
        self.tally.add(round)
        self.said = [self.marked(part) for part in round.candidates[0].message.parts]
        self.parts.extend(self.said)

    def note_bill(self) -> None:
        """What the round cost, however it ended; the trailers tell all rounds together."""
        told, mine = self.round_call.trailers, self.call.trailers
        self.charged_nanos += money.from_decimal_text(told.get(CHARGE_TRAILER, "0"))
        mine[CHARGE_TRAILER] = money.to_decimal_text(self.charged_nanos)
        if COMPLETION_TRAILER in told:
            mine.setdefault(COMPLETION_TRAILER, told[COMPLETION_TRAILER])
        if CACHE_TRAILER in told:
            mine[CACHE_TRAILER] = told[CACHE_TRAILER]
        self._note_facts(self.call.facts, self.round_call.facts)

    def _note_facts(self, mine: dict[str, object], told: dict[str, object]) -> None:
        """For the journal: the first round's id, the last one's provider, and what adds up."""
        mine |= {name: told[name] for name in ("provider", "model") if name in told}
        if "completion" in told:
            mine.setdefault("completion", told["completion"])
            mine["charge"] = self.charged_nanos
        mine["attempts"] = int(str(mine.get("attempts", 0))) + int(str(told.get("attempts", 0)))

    def marked(self, part: content_pb2.Part) -> content_pb2.Part:
        """A call of a tool says who runs it, and what an approval needs."""
        if part.HasField("tool_call") and self.assigned(part.tool_call) and self.needs_approval(part.tool_call):
            called = part.tool_call
            called.approval_token = self.approvals.token(self.call.caller.tenant_id, called)
            called.state = content_pb2.TOOL_CALL_STATE_AWAITING_APPROVAL
        return part

    def assigned(self, called: content_pb2.ToolCallPart) -> bool:
        """Whether the gateway is to run it: all that is neither the provider's nor the caller's."""
        if called.executor == content_pb2.TOOL_EXECUTOR_PROVIDER or self.kit.is_callers(called.name):
            return False
        called.executor = content_pb2.TOOL_EXECUTOR_GATEWAY
        return True

    def needs_approval(self, called: content_pb2.ToolCallPart) -> bool:
        """What cannot run needs none."""
        tool = self.kit.runs.get(called.name)
        return tool is not None and tool.spec.needs_approval and called.state != content_pb2.TOOL_CALL_STATE_INVALID

    def due(self) -> list[content_pb2.ToolCallPart]:
        """The calls that the gateway is to run now."""
        if self.is_over or self.tally.whole.candidates[0].finish_reason not in CALLING:
            return []
        return [
            part.tool_call
            for part in self.said
            if part.tool_call.executor == content_pb2.TOOL_EXECUTOR_GATEWAY
            and part.tool_call.state != content_pb2.TOOL_CALL_STATE_AWAITING_APPROVAL
        ]

    @property
    def is_paused(self) -> bool:
        waiting = content_pb2.TOOL_CALL_STATE_AWAITING_APPROVAL
        return not self.is_over and any(part.tool_call.state == waiting for part in self.said)

    @property
    def is_callers(self) -> bool:
        """The caller has calls to run too."""
        return any(part.tool_call.executor == content_pb2.TOOL_EXECUTOR_CALLER for part in self.said)

    @property
    def has_round(self) -> bool:
        return self.tally.whole.tool_round_count < self.rounds_max

    def ran(self, results: Sequence[Ran]) -> list[content_pb2.Part]:
        """Its tools have run, in the order of their calls."""
        parts = [content_pb2.Part(tool_result=each.result) for each in results]
        if self.tally.whole.tool_rounds:
            self.tally.last.runs.extend(each.run for each in results)
        self.parts.extend(parts)
        return parts

    def ask_again(self, results: Sequence[content_pb2.Part]) -> None:
        """The next question: with what was said and what came of it, and with the money that is left."""
        self.tally.whole.tool_round_count += 1
        self.input.messages.add(role=content_pb2.ROLE_ASSISTANT, parts=self.said)
        self.input.messages.add(role=content_pb2.ROLE_TOOL, parts=results)
        if self.input.tool_choice.mode != content_pb2.TOOL_CHOICE_MODE_NONE:
            self.input.ClearField("tool_choice")  # what it had to call it has called

    def afford(self, max_nanos: int | None) -> bool:
        """Whether anything is left of the most that all rounds may cost."""
        if max_nanos is not None:
            self.input.max_cost.nanos = max_nanos - self.charged_nanos
        return max_nanos is None or self.input.max_cost.nanos > 0

    def end(self, reason: chat_pb2.FinishReason.ValueType) -> None:
        """The gateway ends it, not the model."""
        self.is_over = True
        self.tally.whole.candidates[0].finish_reason = reason
        if reason in CUT:
            self.tally.whole.outcome = chat_pb2.OUTCOME_TRUNCATED

    def write(self, completion: chat_pb2.Completion) -> None:
        """The whole answer and its bill."""
        completion.MergeFrom(self.tally.whole)
        message = completion.candidates[0].message
        del message.parts[:]
        message.parts.extend(self.parts)

    def failed(self, error: TrunklineError, sequence: int) -> TrunklineError:
        """A round could not be had: with what the ones before it used."""
        if self.tally.whole.tool_rounds:
            error.partial = self.tally.partial(error.partial, sequence)
        return error

    def stopped(self, reason: Reason, sequence: int) -> TrunklineError:
        """Somebody has ended it: with what was charged, also for a round of which nothing was heard."""
        unheard = errors_pb2.PartialResult(charge=money.credits(self.charged_nanos - self.tally.charge_nanos))
        return refusals.stopped(reason, self.tally.partial(unheard, sequence))


def outstanding(messages: Sequence[content_pb2.Message], kit: Kit) -> Iterator[content_pb2.ToolCallPart]:
    """The calls, in the last answer, that the gateway was to run and nobody has answered."""
    answered: set[str] = set()
    for message in reversed(messages):
        answered.update(part.tool_result.call_id for part in message.parts if part.HasField("tool_result"))
        if message.role == content_pb2.ROLE_ASSISTANT:
            for part in message.parts:
                called = part.tool_call
                if called.name in kit.runs and called.call_id not in answered and _is_ours(called):
                    yield called
            return
        if message.role != content_pb2.ROLE_TOOL:
            return


def _is_ours(called: content_pb2.ToolCallPart) -> bool:
    return called.executor == content_pb2.TOOL_EXECUTOR_GATEWAY
