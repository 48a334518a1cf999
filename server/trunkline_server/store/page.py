"""One page of a list that is ordered by time, then id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Page:
    """At most `size` rows behind the row (`after_time`, `after_id`); without these, the first ones."""

    size: int = 100
    after_time: datetime | None = None
    after_id: str | None = None
