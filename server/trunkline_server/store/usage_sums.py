"""What many calls used and cost together: from what was summed in advance where there is that, else from their rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from trunkline_server.store import queries
from trunkline_server.store.database import Connection, Database

_SQL = queries.load(__file__)

SUM_S: Final = 20.0
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Span(NamedTuple):
    """A time, its end left out."""

    start: datetime
    end: datetime

    def summed(self, rolled: Span, unit: timedelta | None) -> Span:
        """The hours or days, by UTC, that lie within both altogether; where there are none, nothing at the end."""
        start, end = max(self.start, rolled.start), min(self.end, rolled.end)
        if unit and start < end:
            start, end = start + (_EPOCH - start) % unit, end - (end - _EPOCH) % unit
        return Span(start, end) if unit and start < end else Span(self.end, self.end)


class Selection(NamedTuple):
    """Which calls, by the time they ended; an empty text stands for all. `by` are `user_id`, `provider`, `model`,
    `operation`, `key_id`, `label`, and one of `hour`, `day`, `week`, `month`."""

    tenant_id: UUID
    span: Span
    user_id: str = ""
    provider: str = ""
    model: str = ""
    operation: str = ""
    by: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    label: str = ""

    @property
    def tells_users(self) -> bool:
        """It needs sums in which users and keys are apart."""
        return bool(self.user_id) or "user_id" in self.by or "key_id" in self.by

    @property
    def tells_labels(self) -> bool:
        """Nothing was summed by label."""
        return bool(self.labels) or "label" in self.by

    def summed(self, rolled: Span) -> Span:
        """The part of its time that can be taken from sums."""
        known = not self.tells_labels and not (self.tells_users and "hour" in self.by)
        return self.span.summed(rolled, (_DAY if self.tells_users else _HOUR) if known else None)

    def paced(self, rolled: Span) -> Span:
        """The same of how long calls took, which is kept by the day, and not by user."""
        known = not self.tells_labels and not self.tells_users and "hour" not in self.by
        return self.span.summed(rolled, _DAY if known else None)

    @property
    def texts(self) -> tuple[str, str, str, str]:
        return self.user_id, self.provider, self.model, self.operation

    @property
    def labels_json(self) -> str:
        return msgspec.json.encode(self.labels).decode()


class Sum(NamedTuple):
    """One row. Texts that it was not summed by are empty; amounts are with what repricing has changed since."""

    time: str
    user_id: str
    provider: str
    model: str
    operation: str
    key_id: str
    label: str
    calls: int
    failed: int
    cancelled: int
    reported: int
    attempts: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_input_tokens: int
    output_tokens: int
    reasoning_output_tokens: int
    cost_nano_usd: int
    charge_nanos: int
    repriced_nanos: int
    duration_ms: int
    """Of calls that did not fail."""
    first_tokens: int
    first_token_ms: int
    speaking_ms: int

    @property
    def group(self) -> tuple[str, ...]:
        """What its calls have in common."""
        return self[:7]


NOTHING: Final = Sum("", "", "", "", "", "", "", *[0] * 17)
"""The sum of no calls."""


async def sums(database: Database, selection: Selection, limit: int, offset: int = 0) -> list[Sum]:
    """In the order of their texts."""
    async with database.of(selection.tenant_id).transaction() as connection:
        summed = selection.summed(await rolled(connection))
        rows = await connection.fetch(
            _SQL.sums,
            selection.tenant_id,
            *selection.span,
            *selection.texts,
            selection.by,
            *summed,
            selection.tells_users,
            selection.labels_json,
            selection.label,
            limit,
            offset,
            timeout=SUM_S,
        )
    return [Sum(*row) for row in rows]


async def rolled(connection: Connection) -> Span:
    """What was summed in advance; the statements after it have time enough."""
    await connection.execute(_SQL.patience)
    row = await connection.fetchrow(_SQL.rolled)
    return Span(_EPOCH, _EPOCH) if row is None else Span(*row)


async def held_count(database: Database, tenant_id: UUID) -> int:
    """Reservations that are held now."""
    count: int = await database.of(tenant_id).fetchval(_SQL.held_count, tenant_id)
    return count
