"""What looks at providers found: the last one at each, for all replicas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)


class Found(NamedTuple):
    """What a look found. `failure_kind` is empty where the provider answered."""

    provider: str
    failure_kind: str
    duration_ms: int


class Check(NamedTuple):
    """The last look at a provider; `failures` counts those in a row."""

    provider: str
    failure_kind: str
    failures: int
    duration_ms: int
    check_time: datetime


@dataclass(frozen=True, slots=True)
class ProviderChecks:
    """The table."""

    database: Database

    async def note(self, found: Sequence[Found]) -> None:
        """These were all that were looked at."""
        columns = zip(*found, strict=True) if found else ((), (), ())
        await self.database.execute(_SQL.note, *map(list, columns))

    async def all(self, within_s: float) -> list[Check]:
        """By name, without those of longer ago."""
        return [Check(*row) for row in await self.database.fetch(_SQL.all, within_s)]
