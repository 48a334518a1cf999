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
_MORE_THAN_USERS: Final = {"provider", "model", "operation", "key_id"}


class Span(NamedTuple):
    """A time, its end left out."""

    start: datetime
    end: datetime

    def whole(self, unit: timedelta, rolled: Span) -> Span:
        """The hours or days, by UTC, that lie within both, and the one under way as far as it was summed; where there
        are none, nothing at the end."""
        start, end = max(self.start, rolled.start), min(self.end, rolled.end)
        if start < end < rolled.end:
            end -= (end - _EPOCH) % unit
        if start < end:
            start += (_EPOCH - start) % unit
        return Span(start, end) if start < end else Span(self.end, self.end)

    def stands(self) -> bool:
        """These days are over, or there are none."""
        return self.start == self.end or not (self.end - _EPOCH) % _DAY


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
    paced: bool = False
    """Whether it shall be told how many calls took how long."""

    @property
    def tells_users(self) -> bool:
        """It needs sums in which users and keys are apart."""
        return bool(self.user_id) or "user_id" in self.by or "key_id" in self.by

    @property
    def day_table(self) -> str:
        """The smallest of the tables by the day in which everything is apart that it needs."""
        if not self.tells_users:
            return "usage_model_day"
        more = self.provider or self.model or self.operation or _MORE_THAN_USERS.intersection(self.by)
        return "usage_day" if more else "usage_user_day"

    def summed(self, rolled: Span) -> tuple[Span, Span]:
        """The part of its time that can be taken from sums, and that part of it which is taken from days."""
        if self.labels or "label" in self.by or (self.tells_users and (self.paced or "hour" in self.by)):
            rolled = Span(_EPOCH, _EPOCH)
        days = self.span.whole(_DAY, rolled)
        if self.tells_users:
            return days, days
        hours = self.span.whole(_HOUR, rolled)
        return hours, hours._replace(start=hours.end) if "hour" in self.by else days

    @property
    def texts(self) -> tuple[str, str, str, str]:
        return self.user_id, self.provider, self.model, self.operation

    @property
    def labels_json(self) -> str:
        return msgspec.json.encode(self.labels).decode()


class Sum(NamedTuple):
    """One row, or the sum of no calls. Texts that it was not summed by are empty; amounts are with what repricing has
    changed since."""

    time: str = ""
    user_id: str = ""
    provider: str = ""
    model: str = ""
    operation: str = ""
    key_id: str = ""
    label: str = ""
    calls: int = 0
    failed: int = 0
    cancelled: int = 0
    reported: int = 0
    attempts: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0
    cost_nano_usd: int = 0
    charge_nanos: int = 0
    repriced_nanos: int = 0
    duration_ms: int = 0
    """Of calls that did not fail."""
    first_tokens: int = 0
    first_token_ms: int = 0
    speaking_ms: int = 0
    duration_steps: str = ""
    """How many calls took how long, as `core.shares` reads it; empty where nobody asked or nothing was timed."""
    first_token_steps: str = ""

    @property
    def group(self) -> tuple[str, ...]:
        """What its calls have in common."""
        return self[:7]


async def sums(database: Database, selection: Selection, limit: int, offset: int = 0) -> list[Sum]:
    """In the order of their texts."""
    async with database.of(selection.tenant_id).transaction() as connection:
        await connection.execute(_SQL.patience)
        rolled = await _rolled(connection)
        while True:
            summed, days = selection.summed(rolled)
            rows = await connection.fetch(
                _SQL.sums,
                selection.tenant_id,
                *selection.span,
                *selection.texts,
                selection.by,
                *summed,
                *days,
                selection.day_table,
                selection.labels_json,
                selection.label,
                selection.paced,
                limit,
                offset,
                timeout=SUM_S,
            )
            # Only to the day under way is something added; if it just was, the rows of that hour were counted twice.
            if days.stands() or rolled == (rolled := await _rolled(connection)):
                return [Sum(*row) for row in rows]


async def _rolled(connection: Connection) -> Span:
    """What was summed in advance."""
    row = await connection.fetchrow(_SQL.rolled)
    return Span(_EPOCH, _EPOCH) if row is None else Span(*row)


async def held_count(database: Database, tenant_id: UUID) -> int:
    """Reservations that are held now."""
    count: int = await database.of(tenant_id).fetchval(_SQL.held_count, tenant_id)
    return count
