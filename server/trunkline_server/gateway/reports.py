"""How providers and their breakers do, in the words of the contract."""

from __future__ import annotations

import math
import time
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from pybreaker import STATE_CLOSED, STATE_HALF_OPEN, STATE_OPEN

from trunkline.v1 import providers_pb2
from trunkline_server.core.moment import duration
from trunkline_server.gateway import breaker_names
from trunkline_server.gateway.breakers import Gate
from trunkline_server.gateway.line import Trunk

BREAKERS_MAX: Final = 200
"""Told of one provider; those that are not closed come first."""

LIMITS_MAX: Final = 200

_STATES: Final = {
    STATE_CLOSED: providers_pb2.BREAKER_STATE_CLOSED,
    STATE_OPEN: providers_pb2.BREAKER_STATE_OPEN,
    STATE_HALF_OPEN: providers_pb2.BREAKER_STATE_HALF_OPEN,
}


def health_of(trunk: Trunk, now_s: float) -> providers_pb2.ProviderHealth:
    """Of one provider; `now_s` is on the clock of its breakers."""
    health, counts = trunk.health, trunk.health.counts()
    gates = sorted(trunk.gates(), key=lambda gate: gate.is_closed)[:BREAKERS_MAX]
    return providers_pb2.ProviderHealth(
        provider=trunk.provider,
        last_check_time=_timestamp(health.last_check_s),
        last_failure_time=_timestamp(health.last_failure_s),
        last_failure_kind=health.last_failure_kind,
        attempt_count=counts.calls,
        failure_count=counts.failures,
        success_rate=1 - counts.failures / counts.calls if counts.calls else None,
        first_token_latency=duration(health.latency.typical_s(streaming=True)),
        answer_latency=duration(health.latency.typical_s(streaming=False)),
        in_flight_count=trunk.bulkhead.taken,
        breakers=[breaker_of(gate, now_s) for gate in gates],
        limits=_limits(trunk),
    )


def breaker_of(gate: Gate, now_s: float) -> providers_pb2.Breaker:
    """As it stands."""
    counts = gate.counts()
    timed = not gate.is_closed and math.isfinite(gate.opens_until_s)
    name, owner = breaker_names.read(gate.name)
    return providers_pb2.Breaker(
        name=name,
        own=owner is not None,
        state=_STATES[gate.breaker.current_state],
        call_count=counts.calls,
        failure_count=counts.failures,
        slow_count=counts.slow,
        probe_time=_timestamp(round(time.time() + gate.opens_until_s - now_s)) if timed else None,
    )


def _limits(trunk: Trunk) -> list[providers_pb2.ProviderLimit]:
    """By model, and as the provider named them."""
    told = [(model, limit) for model, line in sorted(trunk.lines.items()) for limit in line.pace.limits()]
    return [
        providers_pb2.ProviderLimit(
            model=model,
            unit=limit.unit,
            amount=limit.amount,
            remaining=limit.remaining,
            reset_time=_timestamp(limit.full_time_s),
        )
        for model, limit in told[:LIMITS_MAX]
    ]


def _timestamp(seconds: float) -> Timestamp | None:
    return Timestamp(seconds=int(seconds), nanos=int(seconds % 1 * 1e9)) if seconds else None
