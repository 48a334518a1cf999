"""A chat on its way through the gateway: the answer as it grows, as the caller hears it, and as it is counted."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self, cast

from trunkline.v1 import actions_pb2, chat_pb2, errors_pb2, usage_pb2
from trunkline_server.core import money
from trunkline_server.core.action_proposal import offered
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.cancel_billing import CancelBilling
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.core.guard.shield import Shield
from trunkline_server.gateway.begun import Begun
from trunkline_server.gateway.drains import kept, kept_whole
from trunkline_server.gateway.guards.gate import Gate
from trunkline_server.gateway.guards.guards import verdict_of
from trunkline_server.gateway.journal import UNWRITTEN, Journal
from trunkline_server.gateway.output import Output
from trunkline_server.gateway.run import COUNTED_PARTIAL, ESTIMATE, NONE, PROVIDER_USAGE, StreamedRun
from trunkline_server.gateway.terms import Offer
from trunkline_server.wire.craft import BackgroundCraft

if TYPE_CHECKING:
    from trunkline_server.gateway.chat_work import ChatWork
    from trunkline_server.gateway.gateway import Gateway

FINISHED_CUT: Final = frozenset(
    (
        chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS,
        chat_pb2.FINISH_REASON_CONTEXT_WINDOW,
        chat_pb2.FINISH_REASON_MAX_COST,
    )
)
FINISHED_FILTERED: Final = frozenset((chat_pb2.FINISH_REASON_CONTENT_FILTER, chat_pb2.FINISH_REASON_RECITATION))
CAP_EXCESS: Final = 1.01
CAP_SLACK_TOKENS: Final = 8
"""Some providers end a word or two late."""
CHARS_PER_TOKEN: Final = 4


@dataclass(slots=True)
class ChatRun(StreamedRun[chat_pb2.ChatInput, chat_pb2.ChatEvent]):
    """`output` judges the answer's shape; `gate` keeps back what the caller must not have, where there is such."""

    answer: Answer = field(init=False)
    output: Output = field(init=False)
    gate: Gate | None = field(init=False)
    background: BackgroundCraft | None = field(init=False)
    """How the provider answers in its own time, where it is to."""
    sequence: int = 0
    cache_status: chat_pb2.CacheStatus.ValueType = chat_pb2.CACHE_STATUS_UNSPECIFIED
    cache_lookup: chat_pb2.CacheLookup | None = None
    operation: str = ""
    """What the provider calls an answer that it makes in its own time."""

    def __post_init__(self) -> None:
        self.answer = Answer(streaming=self.work.streaming)
        self.output = Output(self.work.input)
        self.gate = self._new_gate()
        self.background = self._wanted_background()

    @property
    def ask(self) -> Ask:
        """The question as the provider gets it."""
        return cast("Ask", self.errand)

    @property
    def shield(self) -> Shield | None:
        """The guard of this call."""
        return self.work.shield

    @property
    def begun(self) -> bool:
        return self.sequence > 0

    @property
    def in_own_time(self) -> bool:
        return self.background is not None

    @property
    def is_idempotent(self) -> bool:
        return self.background is None

    @property
    def may_repeat(self) -> bool:
        """What was begun is asked after, not begun again."""
        return not self.begun and not self.operation

    @property
    def may_hedge(self) -> bool:
        return not self.is_bound and self.background is None

    @property
    def journal(self) -> Journal:
        """A second round is not what an earlier attempt wrote down."""
        return UNWRITTEN if self.rounds else cast("ChatWork", self.work).journal

    @property
    def finish_reason(self) -> chat_pb2.FinishReason.ValueType:
        endings = self.answer.ends()
        return endings[0].finish_reason if endings else chat_pb2.FINISH_REASON_UNSPECIFIED

    async def attempt(self) -> None:
        if self.background is not None:
            await self.journal.do(Begun(self, self.background.begin(self.ask, self.answer)))
            self.operation = ""
        else:
            await kept_whole(self, self.route.upstream.answer(self.ask, self.answer))

    def reads(self) -> AsyncGenerator[None, None]:
        if self.background is not None:
            return self._read_at_once()
        return kept(self, self.route.upstream.chat(self.ask, self.answer))

    async def _read_at_once(self) -> AsyncGenerator[None, None]:
        await self.attempt()
        yield

    def start_over(self) -> None:
        self.answer = Answer(streaming=self.streaming)
        self.gate = self._new_gate()

    def move(self, offer: Offer) -> None:
        StreamedRun.move(self, offer)
        self.background = self._wanted_background()

    def adopt(self, other: Self) -> None:
        StreamedRun.adopt(self, other)
        self.answer, self.background = other.answer, other.background

    def _wanted_background(self) -> BackgroundCraft | None:
        background = self.route.upstream.provider.background
        return background if background is not None and background.is_wanted(self.ask) else None

    def answered(self, began: float) -> None:
        """A provider that was cut where it should have ended is still at work, so its bill is counted."""
        StreamedRun.answered(self, began)
        self.in_flight = self.is_past_cap
        if self.in_flight:
            self._cut()
        if self.offer.cost_limit is not None:
            self._tell_cost_limit()

    def failed(self, failure: UpstreamFailure, began: float) -> None:
        """What nobody heard of the answer is gone, and not charged; what was reported stays."""
        StreamedRun.failed(self, failure, began)
        if not self.begun:
            reported, self.answer = self.answer.usage, Answer(streaming=self.streaming)
            self.answer.usage = reported

    @property
    def is_past_cap(self) -> bool:
        """A delta is one token at least; what a guard has ended needs no more of them."""
        if self.gate is not None and self.gate.blocked:
            return not self.answer.finished
        limit, cap = self.offer.cost_limit, self.offer.cut_at
        if limit is not None and limit.reached(self.answer):
            return not self.answer.finished
        if cap is None or self.answer.delta_count <= cap:
            return False
        answers = max(self.input.sampling.candidate_count, 1)
        return self.answer.delta_count > cap * answers * CAP_EXCESS + CAP_SLACK_TOKENS

    def _cut(self) -> None:
        for candidate in self.answer.ends():
            self.answer.finish(chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS, "", candidate=candidate.index)

    def _tell_cost_limit(self) -> None:
        """An answer that ended at a length ended there for the sake of its cost."""
        for candidate in self.answer.ends():
            if candidate.finish_reason == chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS:
                candidate.finish_reason = chat_pb2.FINISH_REASON_MAX_COST

    # What a guard lets through.

    @property
    def is_judged(self) -> bool:
        return self.gate is not None and self.gate.is_judged

    async def hear(self, gateway: Gateway, *, last: bool = False) -> None:
        if self.gate is not None and self.shield is not None:
            await self.gate.hear(self.answer, verdict_of(gateway, self.call, self.shield), last=last)

    async def look_through(self, gateway: Gateway) -> None:
        """The whole answer, as the caller may have it."""
        if self.gate is not None and self.shield is not None:
            await self.gate.look_through(self.answer, verdict_of(gateway, self.call, self.shield))

    def _new_gate(self) -> Gate | None:
        if self.shield is None or not self.shield.guards_answer:
            return None
        return Gate(self.shield, is_json=self.input.HasField("output_format"))

    def outcome_of(self) -> chat_pb2.Outcome.ValueType:
        """As its first candidate ended."""
        reasons = [candidate.finish_reason for candidate in self.answer.ends()]
        if not FINISHED_FILTERED.isdisjoint(reasons):
            return chat_pb2.OUTCOME_FILTERED
        if not FINISHED_CUT.isdisjoint(reasons):
            return chat_pb2.OUTCOME_TRUNCATED
        return chat_pb2.OUTCOME_COMPLETED

    def measured(self) -> tuple[usage_pb2.Usage, str]:
        """The provider's numbers, else counted, else estimated, else nothing."""
        answer = self.answer
        whole = answer.finished and not self.in_flight
        if answer.usage is not None and (whole or self.reported_counts):
            return answer.usage, PROVIDER_USAGE
        if self._is_unbilled or not (answer.has_content or self.in_flight or whole):
            return usage_pb2.Usage(), PROVIDER_USAGE if self.rounds else NONE
        estimated = self._estimated()
        if answer.usage is not None:
            estimated = _larger(answer.usage, estimated)
        return estimated, ESTIMATE if whole else COUNTED_PARTIAL

    @property
    def _is_unbilled(self) -> bool:
        """The provider bills nothing of what was left, or bills whoever goes on with it."""
        if self.answer.finished:
            return False
        no_bill = self.route.upstream.provider.cancel_billing is CancelBilling.NO_BILL
        return no_bill or self.journal.goes_on

    def _estimated(self) -> usage_pb2.Usage:
        """By what came through: one token a delta where the dialect sends them so, else by length; one in flight."""
        answer = self.answer
        by_length = answer.output_chars // CHARS_PER_TOKEN
        output = answer.delta_count if self.route.upstream.wire.delta_is_token else max(answer.delta_count, by_length)
        return usage_pb2.Usage(
            input_tokens=self.offer.input_tokens,
            output_tokens=output if answer.finished and not self.in_flight else output + 1,
            source=usage_pb2.USAGE_SOURCE_ESTIMATED,
        )

    # What a stream says.

    def events(self) -> Iterator[chat_pb2.ChatEvent]:
        if not self.answer.has_content:
            return
        if not self.begun:
            self.first_token_s = time.perf_counter() - self.began
            yield self.started()
        for event in self.answer.drain() if self.gate is None else self.gate.events(self.answer):
            yield self.numbered(event)

    def last_events(self) -> Iterator[chat_pb2.ChatEvent]:
        """The answer may have been empty."""
        if not self.begun:
            yield self.started()
        events = self.answer.drain() if self.gate is None else self.gate.events(self.answer)
        endings = self.answer.endings() if self.gate is None else self.gate.endings(self.answer)
        for event in (*events, *endings):
            yield self.numbered(event)

    def check(self) -> None:
        """Raises OUTPUT_INVALID."""
        self.output.require(self.answer)

    def started(self) -> chat_pb2.ChatEvent:
        started = chat_pb2.GenerationStarted(
            completion_id=self.spelled_id,
            provider=self.route.provider,
            model=self.answer.model or self.route.model,
            create_time=self.create_time,
        )
        return self.numbered(chat_pb2.ChatEvent(started=started))

    def heartbeat(self) -> chat_pb2.StreamResponse | None:
        """Nothing is sent before the first content, so that an early failure stays a clean status."""
        if not self.begun:
            return None
        event = self.numbered(chat_pb2.ChatEvent(heartbeat=chat_pb2.Heartbeat()))
        return chat_pb2.StreamResponse(event=event)

    def completed(self) -> chat_pb2.ChatEvent:
        completed = chat_pb2.GenerationCompleted(
            usage=self.usage,
            cost=money.usd(self.bill.cost_nano_usd),
            charge=money.credits(self.bill.charge_nanos),
            attempts=self.attempts,
            warnings=self.errand.warnings,
            outcome=self.outcome,
            provider_response_id=self.answer.response_id,
            price_version=self.bill.price_version,
            end_time=self.end_time,
            cache_status=self.cache_status,
            actions=self.actions(),
            guard_findings=self.shield.findings() if self.shield is not None else None,
            cache_lookup=self.cache_lookup,
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
        if self.gate is None:
            self.answer.write(completion.candidates)
        else:
            completion.candidates.extend(self.told())
        completion.usage.CopyFrom(self.usage)
        completion.cost.unit, completion.cost.nanos = money.USD, self.bill.cost_nano_usd
        completion.charge.unit, completion.charge.nanos = money.CREDIT, self.bill.charge_nanos
        completion.attempts.extend(self.attempts)
        completion.warnings.extend(self.errand.warnings)
        completion.outcome = self.outcome
        completion.price_version = self.bill.price_version
        completion.cache_status = self.cache_status
        if self.shield is not None:
            completion.guard_findings.extend(self.shield.findings())
        if self.cache_lookup is not None:
            completion.cache_lookup.CopyFrom(self.cache_lookup)
        completion.actions.extend(self.actions())

    def actions(self) -> Sequence[actions_pb2.Action]:
        """What people can do with the answer."""
        if self.gate is not None and self.streaming:  # what a model proposes went through it in events, not as a whole
            return self.input.actions
        return offered(self.input, self.told) if self.input.actions or self.input.tools else ()

    def told(self) -> list[chat_pb2.Candidate]:
        """The answers of a whole answer, as the caller may have them."""
        return self.answer.candidates() if self.gate is None else self.gate.candidates(self.answer)

    def partial(self) -> errors_pb2.PartialResult:
        partial = StreamedRun.partial(self)
        partial.last_sequence = self.sequence
        return partial


def _larger(reported: usage_pb2.Usage, estimated: usage_pb2.Usage) -> usage_pb2.Usage:
    """Numbers of an answer that broke off: the provider's input, and whichever output is further on."""
    usage = usage_pb2.Usage()
    usage.CopyFrom(reported)
    usage.input_tokens = reported.input_tokens or estimated.input_tokens
    usage.output_tokens = max(reported.output_tokens, estimated.output_tokens)
    usage.source = usage_pb2.USAGE_SOURCE_ESTIMATED
    return usage
