"""Rate limits as the contract spells them, and as the gateway keeps them."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from google.protobuf.duration_pb2 import Duration

from trunkline.v1 import limits_pb2
from trunkline_server.core.errors import invalid
from trunkline_server.core.limiting import Algorithm
from trunkline_server.core.rate_limit import CONCURRENCY, REQUESTS, TOKENS, RateLimit, Selector, Subject
from trunkline_server.core.text import readable

UNITS: Final = {
    limits_pb2.LIMIT_UNIT_REQUESTS: REQUESTS,
    limits_pb2.LIMIT_UNIT_TOKENS: TOKENS,
    limits_pb2.LIMIT_UNIT_CONCURRENCY: CONCURRENCY,
}
ALGORITHMS: Final = {
    limits_pb2.LIMIT_ALGORITHM_UNSPECIFIED: Algorithm.BUCKET,
    limits_pb2.LIMIT_ALGORITHM_TOKEN_BUCKET: Algorithm.BUCKET,
    limits_pb2.LIMIT_ALGORITHM_FIXED_WINDOW: Algorithm.FIXED,
    limits_pb2.LIMIT_ALGORITHM_SLIDING_WINDOW: Algorithm.SLIDING,
}
_UNIT_WORDS: Final = {word: number for number, word in UNITS.items()}
_ALGORITHM_WORDS: Final = {word: number for number, word in ALGORITHMS.items()}


def selector_of(told: limits_pb2.LimitSelector, path: str) -> Selector:
    """Which calls count. Raises VALIDATION for control characters."""
    fields = {name: readable(f"{path}.{name}", getattr(told, name)) for name in Subject._fields}
    return Selector(**fields)


def rate_limit_of(tenant_id: UUID, told: limits_pb2.RateLimit) -> RateLimit:
    """Raises VALIDATION for what does not go together."""
    unit = UNITS[told.unit]
    algorithm = _leases(told) if unit == CONCURRENCY else _over_time(told)
    return RateLimit(
        tenant_id=tenant_id,
        name=told.name,
        selector=selector_of(told.selector, "rate_limit.selector"),
        unit=unit,
        amount=told.amount,
        window_us=told.window.seconds * 1_000_000 + told.window.nanos // 1000,
        algorithm=algorithm,
        burst=told.burst or told.amount,
    )


def told_rate_limit(limit: RateLimit) -> limits_pb2.RateLimit:
    """As the contract spells it."""
    told = limits_pb2.RateLimit(
        name=limit.name,
        selector=limits_pb2.LimitSelector(**limit.selector._asdict()),
        unit=_UNIT_WORDS[limit.unit],
        amount=limit.amount,
    )
    if limit.algorithm is not Algorithm.LEASES:
        seconds, rest_us = divmod(limit.window_us, 1_000_000)
        told.window.CopyFrom(Duration(seconds=seconds, nanos=rest_us * 1000))
        told.algorithm = _ALGORITHM_WORDS[limit.algorithm]
    if limit.algorithm is Algorithm.BUCKET:
        told.burst = limit.burst
    return told


def _over_time(told: limits_pb2.RateLimit) -> Algorithm:
    if not told.HasField("window"):
        raise invalid("rate_limit.window", "is required, except for concurrency")
    algorithm = ALGORITHMS[told.algorithm]
    if told.burst and algorithm is not Algorithm.BUCKET:
        raise invalid("rate_limit.burst", "belongs to a token bucket")
    return algorithm


def _leases(told: limits_pb2.RateLimit) -> Algorithm:
    for name, given in (("window", told.HasField("window")), ("algorithm", told.algorithm), ("burst", told.burst)):
        if given:
            raise invalid(f"rate_limit.{name}", "does not belong to concurrency")
    return Algorithm.LEASES
