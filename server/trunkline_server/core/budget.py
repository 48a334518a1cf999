"""What an operator says about spending: whose, how much in which time, and whether more is refused or only noted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from trunkline_server.core.rate_limit import Selector, Subject


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget of one tenant, in nanos of `unit` (CREDIT or USD). `thresholds` and `spike_percent` are noted."""

    tenant_id: UUID
    name: str
    selector: Selector
    period: str
    time_zone: str
    unit: str
    amount_nanos: int
    hard: bool
    thresholds: tuple[int, ...]
    spike_percent: int


@dataclass(frozen=True, slots=True)
class Window:
    """What was spent on one counter of a budget in the time that is now."""

    budget: str
    subject: Subject
    start_time: datetime
    end_time: datetime
    spent_nanos: int
    held_nanos: int
    thresholds_passed: tuple[int, ...]
    spiked: bool
