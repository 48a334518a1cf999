"""One call on its way through the gateway: what was asked, who was asked, and what the caller is told of it."""

from __future__ import annotations

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar
from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from trunkline.v1 import chat_pb2, errors_pb2, usage_pb2
from trunkline_server.core import ids, money
from trunkline_server.core.call import Call
from trunkline_server.core.errand import Errand, InputT
from trunkline_server.core.failure import Charge, UpstreamFailure
from trunkline_server.core.money import NANOS
from trunkline_server.core.pricing import Bill, Price
from trunkline_server.core.trace import Attempted
from trunkline_server.gateway.choice import Choice
from trunkline_server.gateway.limits.grant import Grant
from trunkline_server.gateway.routes import Route
from trunkline_server.gateway.terms import Offer
from trunkline_server.gateway.work import Work
from trunkline_server.store.accounts import AccountRef
from trunkline_server.store.holds import Reserved

if TYPE_CHECKING:
    from trunkline_server.gateway.drains import Left
    from trunkline_server.gateway.gateway import Gateway

EventT_co = TypeVar("EventT_co", covariant=True)

PROVIDER_USAGE = "provider_usage"
COUNTED_PARTIAL = "counted_partial"
ESTIMATE = "estimate"
NONE = "none"
"""How a usage is known. None: nothing was used."""
OVERTAKEN = "OVERTAKEN"
"""Told of an attempt when another one, begun beside it, had answered."""


@dataclass(slots=True)
class Run(ABC, Generic[InputT]):
    """Made by admission; filled by attempts; closed by settlement."""

    completion_id: UUID
    call: Call
    work: Work[InputT, Run[InputT]]
    route: Route
    account: AccountRef
    hold: Reserved
    errand: Errand[InputT]
    offer: Offer
    began: float
    create_time: Timestamp
    choice: Choice
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
    left: Left | None = None
    """What the provider goes on saying although the caller has left."""
    lost: list[tuple[Price, usage_pb2.Usage]] = field(default_factory=list)
    """What attempts used that were overtaken by another: it costs us, and the caller nothing."""
    first_token_s: float | None = None
    usage: usage_pb2.Usage = field(default_factory=usage_pb2.Usage)
    bill: Bill = field(default_factory=lambda: Bill(0, 0, ""))
    outcome: chat_pb2.Outcome.ValueType = chat_pb2.OUTCOME_UNSPECIFIED

    @property
    def spelled_id(self) -> str:
        return ids.spell("cmpl", self.completion_id)

    @property
    def input(self) -> InputT:
        return self.work.input

    @property
    def streaming(self) -> bool:
        return self.work.streaming

    # What depends on the kind of work.

    @property
    def begun(self) -> bool:
        """The caller has had a part of the answer."""
        return False

    @property
    def is_idempotent(self) -> bool:
        """A second execution does no harm."""
        return True

    @property
    def is_bound(self) -> bool:
        """It has to stay with the provider that it is with."""
        return bool(self.rounds)

    @property
    def may_repeat(self) -> bool:
        """An attempt that failed may be followed by another."""
        return not self.begun

    @property
    def may_be_cut(self) -> bool:
        """An attempt that takes long may be broken off for one at another provider."""
        return self.is_idempotent and not self.is_bound

    @property
    def may_hedge(self) -> bool:
        """Another attempt may run beside one of it."""
        return False

    @property
    def in_own_time(self) -> bool:
        """The provider takes as long as it likes, and says nothing until it is done."""
        return False

    @property
    def is_past_cap(self) -> bool:
        """The provider goes on where it should have ended."""
        return False

    @property
    def finish_reason(self) -> chat_pb2.FinishReason.ValueType:
        """Why the answer ended, as far as there is a word for it."""
        return chat_pb2.FINISH_REASON_UNSPECIFIED

    @abstractmethod
    async def attempt(self) -> None:
        """Ask the route for the whole answer. Raises UpstreamFailure, or what the work cannot be spelled for."""

    @abstractmethod
    def reads(self) -> AsyncGenerator[None, None]:
        """The same, yielding after each read."""

    @abstractmethod
    def start_over(self) -> None:
        """Forget the answer of an attempt that failed."""

    @abstractmethod
    def outcome_of(self) -> chat_pb2.Outcome.ValueType:
        """How the whole answer ended."""

    @abstractmethod
    def measured(self) -> tuple[usage_pb2.Usage, str]:
        """What the last round used, and how we know."""

    async def look_through(self, gateway: Gateway) -> None:
        """Have a guard look through what came of it, where there is one."""

    def heartbeat(self) -> Message | None:
        """What keeps a silent stream alive, if there may be something yet."""
        return None

    # What attempts come to.

    def answered(self, began: float) -> None:
        """The attempt that began then has ended with an answer."""
        self.in_flight = False
        self._note("", 200, began)

    def failed(self, failure: UpstreamFailure, began: float) -> None:
        """The attempt failed."""
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

    async def let_go(self) -> None:
        """What goes on at the provider is not wanted any more."""
        if self.left is not None:
            left, self.left = self.left, None
            await left.close()

    def move(self, offer: Offer) -> None:
        """Go on with another candidate."""
        self.route, self.offer = offer.route, offer
        self.errand = self.work.errand(self.call, offer)

    def beside(self, offer: Offer) -> Self:
        """The same call once more, at another candidate, with nothing answered yet."""
        other = copy.copy(self)
        other.move(offer)
        other.start_over()
        other.in_flight = True
        return other

    def adopt(self, other: Self) -> None:
        """Go on with what a run beside this one came to."""
        self.route, self.offer, self.errand = other.route, other.offer, other.errand

    def overtake(self, loser: Run[Any]) -> None:
        """An attempt, this run's or one beside it, was broken off because another had answered."""
        used, _ = loser.measured()
        if loser.route.price is not None:
            self.lost.append((loser.route.price, used))
        self.attempts.append(
            chat_pb2.Attempt(provider=loser.route.provider, model=loser.route.model, failure_kind=OVERTAKEN)
        )
        self.asked += 1

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
        ended = time.perf_counter()
        attempt.duration.seconds, attempt.duration.nanos = divmod(int((ended - began) * 1e9), NANOS)
        self.attempts.append(attempt)
        if self.call.trace is not None:
            noted = Attempted(attempt.provider, attempt.model, failure_kind, http_status, began, ended)
            self.call.trace.attempts.append(noted)

    def partial(self) -> errors_pb2.PartialResult:
        """How far it came."""
        return errors_pb2.PartialResult(
            completion_id=self.spelled_id,
            usage=self.usage,
            charge=money.credits(self.bill.charge_nanos),
        )


class StreamedRun(Run[InputT], ABC, Generic[InputT, EventT_co]):
    """A run whose answer is heard while it is made."""

    __slots__ = ()

    @abstractmethod
    def events(self) -> Iterable[EventT_co]:
        """What has come in since last time; nothing before the first content."""

    @abstractmethod
    def last_events(self) -> Iterable[EventT_co]:
        """The end of the answer."""

    @abstractmethod
    def completed(self) -> EventT_co:
        """The bill."""

    @property
    def is_judged(self) -> bool:
        """It has to be heard before its events are told."""
        return False

    async def hear(self, gateway: Gateway, *, last: bool = False) -> None:
        """Have what came in judged."""

    def check(self) -> None:
        """Raises what makes a whole answer unfit."""


def now() -> Timestamp:
    """The wall clock."""
    seconds, nanos = divmod(time.time_ns(), NANOS)
    return Timestamp(seconds=seconds, nanos=nanos)
