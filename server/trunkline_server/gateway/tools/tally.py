"""What several questions to the model come to together: one answer with one bill, on which each round stands."""

from __future__ import annotations

from trunkline.v1 import chat_pb2, errors_pb2
from trunkline_server.core import money
from trunkline_server.core.usage import added


class Tally:
    """`whole` is the answer so far: of the last round what only one can have, of all rounds what adds up."""

    __slots__ = ("whole",)

    def __init__(self) -> None:
        self.whole = chat_pb2.Completion()

    @property
    def charge_nanos(self) -> int:
        return self.whole.charge.nanos

    @property
    def last(self) -> chat_pb2.ToolRound:
        return self.whole.tool_rounds[-1]

    def add(self, round: chat_pb2.Completion) -> None:
        """Another round has ended."""
        before = self.whole
        bill = chat_pb2.ToolRound(
            completion_id=round.completion_id, usage=round.usage, cost=round.cost, charge=round.charge
        )
        if before.tool_rounds:
            _carry(before, round)
        round.tool_rounds.extend((*before.tool_rounds, bill))
        round.tool_round_count = before.tool_round_count
        self.whole = round

    def partial(self, of_round: errors_pb2.PartialResult | None, sequence: int) -> errors_pb2.PartialResult:
        """How far it came before a round failed, with what that round used."""
        partial = errors_pb2.PartialResult(completion_id=self.whole.completion_id, last_sequence=sequence)
        failed = of_round or errors_pb2.PartialResult()
        partial.usage.CopyFrom(added(self.whole.usage, failed.usage))
        partial.charge.CopyFrom(money.credits(self.charge_nanos + failed.charge.nanos))
        return partial


def _carry(before: chat_pb2.Completion, round: chat_pb2.Completion) -> None:
    """What the rounds before had goes in front of what this one has."""
    round.completion_id = before.completion_id
    round.create_time.CopyFrom(before.create_time)
    round.usage.CopyFrom(added(before.usage, round.usage))
    round.cost.nanos += before.cost.nanos
    round.charge.nanos += before.charge.nanos
    _prepend(before, round)


def _prepend(before: chat_pb2.Completion, round: chat_pb2.Completion) -> None:
    whole = chat_pb2.Completion(
        attempts=(*before.attempts, *round.attempts),
        warnings=(*before.warnings, *round.warnings),
        guard_findings=(*before.guard_findings, *round.guard_findings),
    )
    for name in ("attempts", "warnings", "guard_findings"):
        round.ClearField(name)
    round.MergeFrom(whole)
