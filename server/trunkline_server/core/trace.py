"""What a call that is traced leaves behind, for whoever tells tracing systems of it; content is never a part of it."""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Parent:
    """The span of the caller that a call belongs to, as W3C's `traceparent` has it."""

    trace_id: int
    span_id: int
    sampled: bool

    @classmethod
    def read(cls, text: str) -> Parent | None:
        """None where it is no such header."""
        version, _, rest = text.partition("-")
        trace, _, rest = rest.partition("-")
        span, _, flags = rest.partition("-")
        sizes = (len(version), len(trace), len(span), len(flags[:2]))
        if sizes != (2, 32, 16, 2) or version == "ff" or not _HEX.issuperset(version + trace + span + flags[:2]):
            return None
        parent = cls(int(trace, 16), int(span, 16), bool(int(flags[:2], 16) & 1))
        return parent if parent.trace_id and parent.span_id else None


@dataclass(frozen=True, slots=True)
class Attempted:
    """One attempt at a provider; times in seconds of `time.perf_counter`. An empty `failure` is none."""

    provider: str
    model: str
    failure: str
    http_status: int
    began_s: float
    ended_s: float


@dataclass(slots=True)
class Inference:
    """One AI call and its attempts."""

    completion_id: str
    operation: str
    provider: str
    model: str
    requested_model: str
    attempts: list[Attempted]
    input_tokens: int = 0
    output_tokens: int = 0
    finish_reason: str = ""
    first_token_s: float | None = None
    streaming: bool = False


@dataclass(slots=True)
class Trace:
    """A call that is traced, from its first to its last word. One RPC may make several AI calls."""

    method: str
    parent: Parent | None
    began_s: float = field(default_factory=time.perf_counter)
    ended_s: float = 0.0
    code: str = ""
    reason: str = ""
    request_id: str = ""
    attempts: list[Attempted] = field(default_factory=list)
    """Of the AI call that runs."""
    inferences: list[Inference] = field(default_factory=list)

    def closed(self, inference: Inference) -> None:
        """An AI call has ended; its attempts are those made since the last one did."""
        self.inferences.append(inference)
        self.attempts = []


class Tracer(ABC):
    """Chooses the calls that are traced, and tells of them."""

    def __init__(self, sample_ratio: float) -> None:
        self._below = int(sample_ratio * 2**32)

    def begin(self, method: str, traceparent: str) -> Trace | None:
        """None for a call that is not sampled. A caller who traces decides for its own calls."""
        parent = Parent.read(traceparent) if traceparent else None
        sampled = parent.sampled if parent else secrets.randbits(32) < self._below
        return Trace(method, parent) if sampled else None

    @abstractmethod
    def tell(self, trace: Trace) -> None:
        """The call has ended. Never waits."""
