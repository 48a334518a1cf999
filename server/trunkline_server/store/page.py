"""One page of a list that is ordered by time, then id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from trunkline_server.core.page_token import Paging


@dataclass(frozen=True, slots=True)
class Page:
    """At most `size` rows behind the row (`after_time`, `after_id`); without these, the first ones."""

    size: int = 100
    after_time: datetime | None = None
    after_id: str | None = None

    @classmethod
    def of(cls, paging: Paging) -> Self:
        """Where the caller's token says."""
        if paging.cursor is None:
            return cls(paging.limit)
        after_time, after_id = paging.cursor
        return cls(paging.limit, datetime.fromisoformat(after_time), after_id)
