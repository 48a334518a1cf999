"""One call on its way through the gateway: what was asked, what came back, and what the caller is told of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from trunkline.v1 import chat_pb2, errors_pb2, usage_pb2
from trunkline_server.core import ids, money
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.call import Call
from trunkline_server.core.failure import Charge, UpstreamFailure
from trunkline_server.core.money import NANOS
from trunkline_server.core.pricing import Bill
from trunkline_server.gateway.choice import Choice
from trunkline_server.gateway.limits.grant import Grant
from trunkline_server.gateway.routes import Route
from trunkline_server.store.accounts import AccountRef
from trunkline_server.store.holds import Reserved

FINISHED_CUT = frozenset((chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS, chat_pb2.FINISH_REASON_CONTEXT_WINDOW))
FINISHED_FILTERED = frozenset((chat_pb2.FINISH_REASON_CONTENT_FILTER, chat_pb2.FINISH_REASON_RECITATION))
CAP_EXCESS = 1.01
CAP_SLACK_TOKENS = 8
"""Some providers end a word or two late."""


@dataclass(slots=True)
class Run:
    """Made by admission; filled by attempts; closed by settlement."""

    completion_id: UUID
    call: Call
    input: chat_pb2.ChatInput
    route: Route
    account: AccountRef
    hold: Reserved
    ask: Ask
    input_tokens_estimate: int
    streaming: bool
    began: float
    answer: Answer
    create_time: Timestamp
    choice: Choice
    output_tokens_max: int | None
    """Where each answer is cut if it does not end by itself; None: it may be as long as the provider likes."""
    grant: Grant | None = None
    """What it took of its rate limits; None where there are none."""
    end_time: Timestamp | None = None
    attempts: list[chat_pb2.Attempt] = field(default_factory=list)
    failures: list[errors_pb2.UpstreamFailure] = field(default_factory=list)
    rounds: list[usage_pb2.Usage] = field(default_factory=list)
    """What earlier rounds of the same call used; prices depend on the size of each."""
    asked: int = 0
    """Attempts that were made."""
    in_flight: bool = False
    """A provider is at work, and would go on if it were not stopped."""
    reported_counts: bool = False
    """The last attempt failed in a way whose reported usage is charged."""
    first_token_s: float | None = None
    sequence: int = 0
    usage: usage_pb2.Usage = field(default_factory=usage_pb2.Usage)
    bill: Bill = field(default_factory=lambda: Bill(0, 0, ""))
    outcome: chat_pb2.Outcome.ValueType = chat_pb2.OUTCOME_UNSPECIFIED
    cache_status: chat_pb2.CacheStatus.ValueType = chat_pb2.CACHE_STATUS_UNSPECIFIED

    @property
    def spelled_id(self) -> str:
        return ids.spell("cmpl", self.completion_id)

    @property
    def begun(self) -> bool:
        """The caller has had an event."""
        return self.sequence > 0

    def answered(self, began: float) -> None:
        """The attempt that began then has ended with an answer, or was cut where its answer should have ended.

        A provider that is cut is still at work, so its bill is counted.
        """
        self.in_flight = self.is_past_cap
        if self.in_flight:
            self._cut()
        self._note("", 200, began)

    def failed(self, failure: UpstreamFailure, began: float) -> None:
        """The attempt failed: what nobody heard of its answer is gone, and not charged; what was reported stays."""
        self.in_flight = False
        self.reported_counts = failure.rule.charge is Charge.REPORTED
        self._note(failure.kind.value, failure.http_status, began)
        self.failures.append(
            errors_pb2.UpstreamFailure(
                provider=self.route.provider,
                model=self.route.model,
                http_status=failure.http_status,
                code=failure.code,
                kind=failure.kind.value,
            )
        )
        if not self.begun:
            reported, self.answer = self.answer.usage, Answer(streaming=self.streaming)
            self.answer.usage = reported

    def _note_passed(self) -> None:
        """Tell of the candidates that were passed over before it."""
        for route, reason in self.choice.passed:
            self.attempts.append(
                chat_pb2.Attempt(provider=route.provider, model=route.model, failure_kind=reason.value)
            )
        self.choice.passed.clear()

    def _note(self, failure_kind: str, http_status: int, began: float) -> None:
        if self.choice.passed:
            self._note_passed()
        self.asked += 1
        attempt = chat_pb2.Attempt(
            provider=self.route.provider,
            model=self.route.model,
            succeeded=not failure_kind,
            failure_kind=failure_kind,
            http_status=http_status,
        )
        attempt.duration.seconds, attempt.duration.nanos = divmod(int((time.perf_counter() - began) * 1e9), NANOS)
        self.attempts.append(attempt)

    @property
    def is_past_cap(self) -> bool:
        """The provider goes on where it should have ended. A delta is one token at least."""
        cap = self.output_tokens_max
        if cap is None or self.answer.delta_count <= cap:
            return False
        answers = max(self.input.sampling.candidate_count, 1)
        return self.answer.delta_count > cap * answers * CAP_EXCESS + CAP_SLACK_TOKENS

    def _cut(self) -> None:
        for candidate in self.answer.ends():
            self.answer.finish(chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS, "", candidate=candidate.index)

    # What a stream says.

    def events(self) -> Iterator[chat_pb2.ChatEvent]:
        """What has come in since last time; nothing before the first content."""
        if not self.answer.has_content:
            return
        if not self.begun:
            self.first_token_s = time.perf_counter() - self.began
            yield self.started()
        for event in self.answer.drain():
            yield self.numbered(event)

    def last_events(self) -> Iterator[chat_pb2.ChatEvent]:
        """The end of the answer, which may have been empty."""
        if not self.begun:
            yield self.started()
        for event in (*self.answer.drain(), *self.answer.endings()):
            yield self.numbered(event)

    def started(self) -> chat_pb2.ChatEvent:
        started = chat_pb2.GenerationStarted(
            completion_id=self.spelled_id,
            provider=self.route.provider,
            model=self.answer.model or self.route.model,
            create_time=self.create_time,
        )
        return self.numbered(chat_pb2.ChatEvent(started=started))

    def heartbeat(self) -> chat_pb2.ChatEvent:
        return self.numbered(chat_pb2.ChatEvent(heartbeat=chat_pb2.Heartbeat()))

    def completed(self) -> chat_pb2.ChatEvent:
        """The last event: the bill."""
        completed = chat_pb2.GenerationCompleted(
            usage=self.usage,
            cost=money.usd(self.bill.cost_nano_usd),
            charge=money.credits(self.bill.charge_nanos),
            attempts=self.attempts,
            warnings=self.ask.warnings,
            outcome=self.outcome,
            provider_response_id=self.answer.response_id,
            price_version=self.bill.price_version,
            end_time=self.end_time,
            cache_status=self.cache_status,
        )
        return self.numbered(chat_pb2.ChatEvent(completed=completed))

    def numbered(self, event: chat_pb2.ChatEvent) -> chat_pb2.ChatEvent:
        self.sequence += 1
        event.sequence = self.sequence
        return event

    # What a unary call says.

    def write(self, completion: chat_pb2.Completion) -> None:
        """Spell the whole answer and its bill, in place: an answer can be long."""
        completion.completion_id = self.spelled_id
        completion.provider = self.route.provider
        completion.model = self.answer.model or self.route.model
        completion.provider_response_id = self.answer.response_id
        completion.create_time.CopyFrom(self.create_time)
        if self.end_time is not None:
            completion.end_time.CopyFrom(self.end_time)
        self.answer.write(completion.candidates)
        completion.usage.CopyFrom(self.usage)
        completion.cost.unit, completion.cost.nanos = money.USD, self.bill.cost_nano_usd
        completion.charge.unit, completion.charge.nanos = money.CREDIT, self.bill.charge_nanos
        completion.attempts.extend(self.attempts)
        completion.warnings.extend(self.ask.warnings)
        completion.outcome = self.outcome
        completion.price_version = self.bill.price_version
        completion.cache_status = self.cache_status

    def partial(self) -> errors_pb2.PartialResult:
        """How far it came."""
        return errors_pb2.PartialResult(
            completion_id=self.spelled_id,
            usage=self.usage,
            charge=money.credits(self.bill.charge_nanos),
            last_sequence=self.sequence,
        )


def now() -> Timestamp:
    """The wall clock."""
    seconds, nanos = divmod(time.time_ns(), NANOS)
    return Timestamp(seconds=seconds, nanos=nanos)


def outcome_of(answer: Answer) -> chat_pb2.Outcome.ValueType:
    """How a whole answer ended: as its first candidate did."""
    reasons = [candidate.finish_reason for candidate in answer.ends()]
    if any(reason in FINISHED_FILTERED for reason in reasons):
        return chat_pb2.OUTCOME_FILTERED
    if any(reason in FINISHED_CUT for reason in reasons):
        return chat_pb2.OUTCOME_TRUNCATED
    return chat_pb2.OUTCOME_COMPLETED
