"""The rounds of a call as one stream: events numbered through, parts placed one behind the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.gateway.completions import fold
from trunkline_server.gateway.tools.turn import ToolTurn

_KEPT = frozenset(("started", "part_completed", "candidate_completed", "completed"))


class Telling:
    """What the caller hears. Its first event is that of the first round, its last two tell the whole."""

    def __init__(self, turn: ToolTurn) -> None:
        self.sequence = 0
        self._turn = turn
        self._offset = 0
        self._kept: list[chat_pb2.ChatEvent] = []

    def begin_round(self) -> None:
        self._offset = len(self._turn.parts)
        self._kept = []

    def round(self) -> chat_pb2.Completion:
        """What the round said, whole."""
        whole = chat_pb2.Completion()
        fold(self._kept, whole)
        return whole

    def retold(self, event: chat_pb2.ChatEvent) -> Iterator[chat_pb2.ChatEvent]:
        """An event of the round, as the caller hears it."""
        kind = event.WhichOneof("event") or ""
        if kind in _KEPT:
            kept = chat_pb2.ChatEvent()
            kept.CopyFrom(event)
            self._kept.append(kept)
        match kind:
            case "started" if not self.sequence:
                yield self._numbered(event)
                yield from self.parts(self._turn.parts, 0)
            case "part_started" | "part_delta" | "part_completed":
                yield self._numbered(self._moved(event, kind))
            case _:  # told once, at the end
                pass

    def parts(self, parts: Sequence[content_pb2.Part], first: int) -> Iterator[chat_pb2.ChatEvent]:
        """Parts that are whole at once."""
        for index, part in enumerate(parts, first):
            begun = chat_pb2.PartStarted(part_index=index, part=part)
            yield self._numbered(chat_pb2.ChatEvent(part_started=begun))
            done = chat_pb2.PartCompleted(part_index=index, part=part)
            yield self._numbered(chat_pb2.ChatEvent(part_completed=done))

    def progress(self, run: chat_pb2.ToolRun) -> chat_pb2.ChatEvent:
        round_number = self._turn.tally.whole.tool_round_count + 1
        return self._numbered(chat_pb2.ChatEvent(tool_progress=chat_pb2.ToolProgress(run=run, round=round_number)))

    def last_events(self) -> Iterator[chat_pb2.ChatEvent]:
        """How it ended, and the bill."""
        whole = self._turn.tally.whole
        end = whole.candidates[0]
        completed = chat_pb2.CandidateCompleted(
            finish_reason=end.finish_reason,
            provider_finish_reason=end.provider_finish_reason,
            stop_sequence=end.stop_sequence,
            logprobs=end.logprobs,
        )
        yield self._numbered(chat_pb2.ChatEvent(candidate_completed=completed))
        self._turn.call.is_billed = True
        yield self._numbered(chat_pb2.ChatEvent(completed=_completed(whole)))

    def heartbeat(self) -> chat_pb2.StreamResponse | None:
        """Nothing is sent before the first content."""
        if not self.sequence:
            return None
        return chat_pb2.StreamResponse(event=self._numbered(chat_pb2.ChatEvent(heartbeat=chat_pb2.Heartbeat())))

    def _moved(self, event: chat_pb2.ChatEvent, kind: str) -> chat_pb2.ChatEvent:
        inner = getattr(event, kind)
        inner.part_index += self._offset
        if kind == "part_completed":
            self._turn.marked(inner.part)
        elif kind == "part_started" and inner.part.HasField("tool_call"):
            self._turn.assigned(inner.part.tool_call)
        return event

    def _numbered(self, event: chat_pb2.ChatEvent) -> chat_pb2.ChatEvent:
        self.sequence += 1
        event.sequence = self.sequence
        return event


def _completed(whole: chat_pb2.Completion) -> chat_pb2.GenerationCompleted:
    return chat_pb2.GenerationCompleted(
        usage=whole.usage,
        cost=whole.cost,
        charge=whole.charge,
        attempts=whole.attempts,
        warnings=whole.warnings,
        outcome=whole.outcome,
        provider_response_id=whole.provider_response_id,
        price_version=whole.price_version,
        end_time=whole.end_time,
        cache_status=whole.cache_status,
        cache_lookup=whole.cache_lookup if whole.HasField("cache_lookup") else None,
        guard_findings=whole.guard_findings,
        tool_round_count=whole.tool_round_count,
        tool_rounds=whole.tool_rounds,
    )
