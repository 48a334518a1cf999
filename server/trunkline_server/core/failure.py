"""How a provider can fail, and what each failure allows: trying again, trying another, counting it, charging for it.

A failure keeps a class, a status and a short code; what the provider wrote stays outside, it can hold keys and names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from trunkline_server.core.pause import pause_s


class FailureKind(StrEnum):
    """The class of a failure; `RULES` has a row for each."""

    NEVER_SENT = "NEVER_SENT"  # no connection: DNS, connect, TLS; the provider knows nothing of the call
    THROTTLED = "THROTTLED"  # too many calls, or the provider is overloaded
    QUOTA = "QUOTA"  # our account there is exhausted
    TRANSIENT = "TRANSIENT"  # the provider failed and says so
    AMBIGUOUS = "AMBIGUOUS"  # sent, and no answer: it may have happened
    TIMEOUT_FIRST_TOKEN = "TIMEOUT_FIRST_TOKEN"
    TIMEOUT_IDLE = "TIMEOUT_IDLE"  # the answer began and then paused for too long
    INVALID = "INVALID"  # the provider rejects the request
    MODEL_UNKNOWN = "MODEL_UNKNOWN"
    CONTEXT_TOO_LONG = "CONTEXT_TOO_LONG"
    AUTH = "AUTH"  # our key was refused
    FILTERED = "FILTERED"  # content policy
    BROKEN = "BROKEN"  # the answer cannot be read: wrong shape, not HTTP, too large, a redirect
    INTERRUPTED = "INTERRUPTED"  # the answer began and then stopped


class Retry(StrEnum):
    """When the same provider may be asked again."""

    NEVER = "NEVER"
    AT_ONCE = "AT_ONCE"
    BACKOFF = "BACKOFF"  # after a random pause
    AS_TOLD = "AS_TOLD"  # after exactly `retry_after_s`, where that is short enough
    IF_IDEMPOTENT = "IF_IDEMPOTENT"  # after a random pause, where a second execution does no harm


class Failover(StrEnum):
    """When the next candidate may be asked."""

    ALWAYS = "ALWAYS"
    NEVER = "NEVER"
    IF_IDEMPOTENT = "IF_IDEMPOTENT"
    LARGER_WINDOW = "LARGER_WINDOW"  # only a candidate whose context window fits
    GATEWAY_KEY = "GATEWAY_KEY"  # not where the key is the caller's own


class Breaker(StrEnum):
    """What the circuit breaker makes of it."""

    FAILURE = "FAILURE"
    SLOW = "SLOW"
    THROTTLE = "THROTTLE"  # cools down for `retry_after_s`
    CREDENTIAL = "CREDENTIAL"  # the key is at fault, not the provider
    NEUTRAL = "NEUTRAL"


class Charge(StrEnum):
    """What the caller pays for the failed attempt."""

    NONE = "NONE"
    REPORTED = "REPORTED"  # what the provider reported, else nothing
    DELIVERED = "DELIVERED"  # what reached the caller
    POLICY = "POLICY"  # by the provider's cancel-billing policy
    UNKNOWN = "UNKNOWN"  # nothing now; the attempt is recorded as unattributed


@dataclass(frozen=True, slots=True)
class Rule:
    """What one class of failure allows."""

    retry: Retry
    retries_max: int
    failover: Failover
    breaker: Breaker
    charge: Charge


RULES: Mapping[FailureKind, Rule] = {
    FailureKind.NEVER_SENT: Rule(Retry.AT_ONCE, 1, Failover.ALWAYS, Breaker.FAILURE, Charge.NONE),
    FailureKind.THROTTLED: Rule(Retry.AS_TOLD, 1, Failover.ALWAYS, Breaker.THROTTLE, Charge.NONE),
    FailureKind.QUOTA: Rule(Retry.NEVER, 0, Failover.ALWAYS, Breaker.CREDENTIAL, Charge.NONE),
    FailureKind.TRANSIENT: Rule(Retry.BACKOFF, 2, Failover.ALWAYS, Breaker.FAILURE, Charge.REPORTED),
    FailureKind.AMBIGUOUS: Rule(Retry.IF_IDEMPOTENT, 1, Failover.IF_IDEMPOTENT, Breaker.FAILURE, Charge.UNKNOWN),
    FailureKind.TIMEOUT_FIRST_TOKEN: Rule(Retry.NEVER, 0, Failover.ALWAYS, Breaker.SLOW, Charge.POLICY),
    FailureKind.TIMEOUT_IDLE: Rule(Retry.NEVER, 0, Failover.NEVER, Breaker.FAILURE, Charge.DELIVERED),
    FailureKind.INVALID: Rule(Retry.NEVER, 0, Failover.NEVER, Breaker.NEUTRAL, Charge.NONE),
    FailureKind.MODEL_UNKNOWN: Rule(Retry.NEVER, 0, Failover.ALWAYS, Breaker.NEUTRAL, Charge.NONE),
    FailureKind.CONTEXT_TOO_LONG: Rule(Retry.NEVER, 0, Failover.LARGER_WINDOW, Breaker.NEUTRAL, Charge.NONE),
    FailureKind.AUTH: Rule(Retry.NEVER, 0, Failover.GATEWAY_KEY, Breaker.CREDENTIAL, Charge.NONE),
    FailureKind.FILTERED: Rule(Retry.NEVER, 0, Failover.NEVER, Breaker.NEUTRAL, Charge.REPORTED),
    FailureKind.BROKEN: Rule(Retry.BACKOFF, 1, Failover.ALWAYS, Breaker.FAILURE, Charge.REPORTED),
    FailureKind.INTERRUPTED: Rule(Retry.NEVER, 0, Failover.NEVER, Breaker.FAILURE, Charge.DELIVERED),
}

# words and numbers apart: a key that a provider echoes mixes them, or is one long piece
_SLUG = re.compile(r"(?=.{1,64}$)(?:[A-Za-z]{1,24}|[0-9]{1,6})(?:[_.-](?:[A-Za-z]{1,24}|[0-9]{1,6}))*")
_BEFORE_CONTENT = {
    FailureKind.INTERRUPTED: FailureKind.AMBIGUOUS,
    FailureKind.TIMEOUT_IDLE: FailureKind.TIMEOUT_FIRST_TOKEN,
}
_KINDS = {
    401: FailureKind.AUTH,
    402: FailureKind.QUOTA,
    403: FailureKind.AUTH,
    408: FailureKind.TRANSIENT,
    409: FailureKind.TRANSIENT,
    425: FailureKind.TRANSIENT,
    429: FailureKind.THROTTLED,
    529: FailureKind.THROTTLED,
}


@dataclass(eq=False)
class UpstreamFailure(Exception):
    """A provider failed. `code` is the provider's own word where it is a plain slug, else empty."""

    kind: FailureKind
    http_status: int = 0
    code: str = ""
    retry_after_s: float | None = None
    should_retry: bool | None = None
    is_final: bool = False
    """Long work has failed; asking after it again would say the same."""

    def __post_init__(self) -> None:
        self.code = self.code if _SLUG.fullmatch(self.code) else ""
        Exception.__init__(self, " ".join(filter(None, (self.kind.value, str(self.http_status or ""), self.code))))

    @property
    def retries_max(self) -> int:
        """How often the same provider may be asked again; the provider's own word wins."""
        if self.should_retry is None:
            return self.rule.retries_max
        return max(1, self.rule.retries_max) if self.should_retry else 0

    @property
    def rule(self) -> Rule:
        return RULES[self.kind]

    def before_content(self) -> UpstreamFailure:
        """The same failure where nothing of the answer had reached the caller yet: then others may still be asked."""
        kind = _BEFORE_CONTENT.get(self.kind, self.kind)
        return UpstreamFailure(kind, self.http_status, self.code, self.retry_after_s, self.should_retry)


def of_status(
    status: int, headers: Mapping[str, str], kind: FailureKind | None = None, code: str = "", text: str = ""
) -> UpstreamFailure:
    """The failure behind an HTTP status, and what headers and text say about trying again; `kind` is what the body
    told. The text is read for that alone, and forgotten."""
    wait_s = pause_s(headers, status, text)
    told = {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())
    return UpstreamFailure(kind or kind_of(status, wait_s), status, code, wait_s, told)


def kind_of(status: int, retry_after_s: float | None = None) -> FailureKind:
    """The class by status alone."""
    if status == 503 and retry_after_s is not None:
        return FailureKind.THROTTLED
    if status < 400:
        return FailureKind.BROKEN
    return _KINDS.get(status) or (FailureKind.INVALID if status < 500 else FailureKind.TRANSIENT)
