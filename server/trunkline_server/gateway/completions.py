"""What became of a completion: from its usage row, and from the kept answer where there is one."""

from __future__ import annotations

from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from trunkline.v1 import chat_pb2
from trunkline_server.core import ids, money
from trunkline_server.core.errors import not_found
from trunkline_server.core.framing import split
from trunkline_server.core.operation import Operation
from trunkline_server.gateway.live import LiveCalls
from trunkline_server.store.idempotency import Idempotency
from trunkline_server.store.usage import Usage, UsageRow


class Completions:
    """Reads past and running calls."""

    def __init__(self, usage: Usage, results: Idempotency, live: LiveCalls) -> None:
        self._usage = usage
        self._results = results
        self._live = live

    async def find(self, tenant_id: UUID, completion_id: UUID) -> chat_pb2.Completion:
        """Raises RESOURCE_NOT_FOUND, also for another tenant's."""
        if self._live.runs(tenant_id, completion_id):
            return chat_pb2.Completion(completion_id=ids.spell("cmpl", completion_id))
        row = await self._usage.find(tenant_id, completion_id)
        if row is None:
            raise not_found("completion", ids.spell("cmpl", completion_id))
        completion = _from_row(row)
        kept = await self._results.find_result(tenant_id, completion_id)
        if kept is not None and not kept.failed and row.operation == Operation.CHAT:
            completion.candidates.extend(_candidates(kept.response))
        return completion

    async def was_of(self, tenant_id: UUID, user_id: str, completion_id: UUID) -> bool:
        """Whether this user has made such a call, which has its bill."""
        row = await self._usage.find(tenant_id, completion_id)
        return row is not None and row.user_id == user_id


def _from_row(row: UsageRow) -> chat_pb2.Completion:
    ended = Timestamp()
    began = Timestamp()
    if row.create_time is not None:
        ended.FromDatetime(row.create_time)
        began.FromMilliseconds(ended.ToMilliseconds() - row.duration_ms)
    return chat_pb2.Completion(
        completion_id=ids.spell("cmpl", row.completion_id),
        provider=row.provider,
        model=row.model,
        create_time=began,
        end_time=ended,
        usage=row.message(),
        cost=money.usd(row.cost_nano_usd),
        charge=money.credits(row.charge_nanos),
        outcome=chat_pb2.Outcome.Value(row.outcome),
        price_version=row.price_version,
    )


def _candidates(kept: bytes) -> list[chat_pb2.Candidate]:
    """A kept unary answer is one message, a kept stream several."""
    messages = list(split(kept))
    if len(messages) == 1:
        return list(chat_pb2.CompleteResponse.FromString(messages[0]).completion.candidates)
    return folded([chat_pb2.StreamResponse.FromString(message).event for message in messages])


def folded(events: list[chat_pb2.ChatEvent]) -> list[chat_pb2.Candidate]:
    """The answer behind the events of its stream."""
    candidates: dict[int, chat_pb2.Candidate] = {}
    for event in events:
        if event.HasField("part_completed"):
            done = event.part_completed
            candidate = candidates.setdefault(done.candidate_index, chat_pb2.Candidate(index=done.candidate_index))
            candidate.message.parts.append(done.part)
        elif event.HasField("candidate_completed"):
            ended = event.candidate_completed
            candidate = candidates.setdefault(ended.candidate_index, chat_pb2.Candidate(index=ended.candidate_index))
            candidate.finish_reason = ended.finish_reason
            candidate.provider_finish_reason = ended.provider_finish_reason
            candidate.stop_sequence = ended.stop_sequence
            candidate.logprobs.extend(ended.logprobs)
    return [candidates[index] for index in sorted(candidates)]


def fold(events: list[chat_pb2.ChatEvent], completion: chat_pb2.Completion) -> None:
    """The whole answer, as a call in one piece would have it."""
    started, completed = events[0].started, events[-1].completed
    completion.completion_id = started.completion_id
    completion.provider, completion.model = started.provider, started.model
    completion.create_time.CopyFrom(started.create_time)
    completion.end_time.CopyFrom(completed.end_time)
    completion.candidates.extend(folded(events))
    completion.usage.CopyFrom(completed.usage)
    completion.cost.CopyFrom(completed.cost)
    completion.charge.CopyFrom(completed.charge)
    completion.attempts.extend(completed.attempts)
    completion.warnings.extend(completed.warnings)
    completion.guard_findings.extend(completed.guard_findings)
    completion.outcome = completed.outcome
    completion.provider_response_id = completed.provider_response_id
    completion.price_version = completed.price_version
    completion.tool_round_count = completed.tool_round_count
    completion.tool_rounds.extend(completed.tool_rounds)
    completion.cache_status = completed.cache_status
    if completed.HasField("cache_lookup"):
        completion.cache_lookup.CopyFrom(completed.cache_lookup)
