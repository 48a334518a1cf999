"""Counts AI calls, once each, when their bill is written: what was attempted, how long it took, what was used."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any, Final

from trunkline.v1 import chat_pb2, usage_pb2
from trunkline_server.core.figures import Counter, Family, Histogram
from trunkline_server.core.money import NANOS
from trunkline_server.gateway.run import Run

SUCCEEDED: Final = "OK"
LEFT: Final = "LEFT"
"""The outcome of an attempt that was still going when the call ended: cancelled, or out of time."""
_TOKENS: Final = tuple(
    (kind, attrgetter(f"{kind}_tokens"))
    for kind in ("input", "cached_input", "cache_write_input", "output", "reasoning_output")
)
_OUTCOMES: Final = {number: name.removeprefix("OUTCOME_").lower() for name, number in chat_pb2.Outcome.items()}


def unfinished(run: Run[Any]) -> bool:
    """An attempt was broken off, of which nothing was noted."""
    return run.in_flight and not (run.attempts and run.attempts[-1].succeeded)


class RunMeter:
    """Told of every run."""

    def __init__(self) -> None:
        model = ("provider", "model")
        self._runs = Counter("trunkline_completions_total", "AI calls, by how they ended.", "operation", "outcome")
        self._attempts = Counter(
            "trunkline_attempts_total", "Attempts at providers; outcome: OK, LEFT or a failure.", *model, "outcome"
        )
        self._durations = Histogram("trunkline_attempt_duration_seconds", "How long attempts took.", "provider")
        self._first_tokens = Histogram(
            "trunkline_time_to_first_token_seconds", "From a stream's admission to its first token.", "provider"
        )
        self._own = Histogram(
            "trunkline_own_time_seconds", "Of AI calls, what no provider took: ours, and pauses.", "operation"
        )
        self._tokens = Counter("trunkline_tokens_total", "Tokens used, by kind.", *model, "kind")
        self._cost = Counter("trunkline_cost_usd_total", "What providers take, in US dollars.", *model)
        self._charge = Counter("trunkline_charged_credits_total", "What callers were charged.", *model)

    def ended(self, run: Run[Any], duration_s: float) -> None:
        """The run has its bill."""
        operation, route = run.work.operation.value, run.route
        label = (route.provider, route.model)
        self._runs.add((operation, _OUTCOMES[run.outcome]))
        asked_s = sum(map(self._attempted, run.attempts))
        if unfinished(run):
            self._attempts.add((*label, LEFT))
        else:
            self._own.observe((operation,), max(0.0, duration_s - asked_s))
        if run.first_token_s is not None:
            self._first_tokens.observe((route.provider,), run.first_token_s)
        self._used(label, run.usage)
        if run.bill.cost_nano_usd:
            self._cost.add(label, run.bill.cost_nano_usd / NANOS)
        if run.bill.charge_nanos:
            self._charge.add(label, run.bill.charge_nanos / NANOS)

    def families(self) -> Iterator[Family]:
        durations = (self._durations, self._first_tokens, self._own)
        for each in (self._runs, self._attempts, self._tokens, self._cost, self._charge, *durations):
            yield each.family()

    def _attempted(self, attempt: chat_pb2.Attempt) -> float:
        """How long it took. Of candidates that were passed over nobody was asked."""
        outcome = SUCCEEDED if attempt.succeeded else attempt.failure_kind
        self._attempts.add((attempt.provider, attempt.model, outcome))
        if not attempt.HasField("duration"):
            return 0.0
        took_s = attempt.duration.seconds + attempt.duration.nanos / NANOS
        self._durations.observe((attempt.provider,), took_s)
        return took_s

    def _used(self, label: tuple[str, str], usage: usage_pb2.Usage) -> None:
        for kind, count_of in _TOKENS:
            if count := count_of(usage):
                self._tokens.add((*label, kind), count)
