"""What a call can end with.

TrunklineError            every failure; the gateway's word for it is `reason`
├── InvalidRequest        the request is wrong; `fields` says where
├── NotAuthenticated      no key, or not a good one
├── NotAllowed            the key may not do this
├── NotFound              no such thing here
├── AlreadyExists         the name is taken
├── NotPossible           not as things stand: suspended, switched off, already over
│   └── CreditInsufficient
├── LimitReached          a rate, a budget, calls at once; `retry_after_s` says when
├── StillRunning          another call holds the request id
├── Unavailable           the gateway or every provider; trying later can help
│   └── StreamInterrupted the answer broke off; `partial` says how far it came
├── TimedOut
├── Cancelled
├── GatewayFault          a fault that is not yours
│   └── OutputInvalid     the model did not keep to the shape that was asked for
└── ToolRoundsSpent       the model still asks for tools after the last round; `answer` is what it said
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trunkline.v1 import errors_pb2

if TYPE_CHECKING:
    from trunkline.answer import Answer


@dataclass(frozen=True)
class Facts:
    """What an error tells besides its words. What the gateway did not tell is empty."""

    reason: str = ""
    """The gateway's word, such as `RATE_LIMITED`; the ones that exist stand in docs/errors.md."""
    code: str = ""
    """gRPC's word, such as `UNAVAILABLE`."""
    request_id: str = ""
    """Names the call in the gateway's log."""
    retry_after_s: float | None = None
    """When trying again can help; `None` where it cannot."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """What is wrong with which field of the request, by path."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    partial: errors_pb2.PartialResult | None = None
    """How far the call came, and what that cost."""
    attempts: Sequence[errors_pb2.UpstreamFailure] = ()
    """What each provider answered that failed."""


class TrunklineError(Exception):
    """A call failed."""

    def __init__(self, message: str, facts: Facts | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts or Facts()

    @property
    def reason(self) -> str:
        return self.facts.reason

    @property
    def code(self) -> str:
        return self.facts.code

    @property
    def request_id(self) -> str:
        return self.facts.request_id

    @property
    def retry_after_s(self) -> float | None:
        return self.facts.retry_after_s

    @property
    def fields(self) -> Mapping[str, str]:
        return self.facts.fields

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.facts.metadata

    @property
    def partial(self) -> errors_pb2.PartialResult | None:
        return self.facts.partial

    @property
    def attempts(self) -> Sequence[errors_pb2.UpstreamFailure]:
        return self.facts.attempts

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.reason else self.message


class InvalidRequest(TrunklineError):
    """The request is wrong; `fields` says where."""


class NotAuthenticated(TrunklineError):
    """No key was sent, or not a good one."""


class NotAllowed(TrunklineError):
    """The key may not do this."""


class NotFound(TrunklineError):
    """No such thing here."""


class AlreadyExists(TrunklineError):
    """The name is taken."""


class NotPossible(TrunklineError):
    """Not as things stand."""


class CreditInsufficient(NotPossible):
    """The account cannot cover the call."""


class LimitReached(TrunklineError):
    """A rate, a budget, or calls at once; `retry_after_s` says when it goes on."""


class StillRunning(TrunklineError):
    """Another call holds the request id, or the work was given up by too many workers."""


class Unavailable(TrunklineError):
    """The gateway, or every provider that could answer."""


class StreamInterrupted(Unavailable):
    """The answer broke off; `partial` says how far it came, and what that cost."""


class TimedOut(TrunklineError):
    """The time was over."""


class Cancelled(TrunklineError):
    """Somebody stopped it."""


class GatewayFault(TrunklineError):
    """A fault that is not yours; `request_id` finds it in the gateway's log."""


class OutputInvalid(GatewayFault):
    """The model did not keep to the shape that was asked for."""


class ToolRoundsSpent(TrunklineError):
    """The model still asks for tools after the last round that it was given."""

    def __init__(self, message: str, answer: Answer) -> None:
        super().__init__(message, Facts(reason="TOOL_ROUNDS_SPENT"))
        self.answer = answer
