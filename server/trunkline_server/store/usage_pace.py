"""How long calls took, as shares of them: half, 95 and 99 of a hundred."""

from __future__ import annotations

from typing import NamedTuple

from trunkline_server.store import queries
from trunkline_server.store.database import Database
from trunkline_server.store.usage_sums import SUM_S, Selection, rolled

_SQL = queries.load(__file__)


class Shares(NamedTuple):
    """In milliseconds, true to within 3 percent."""

    p50_ms: int
    p95_ms: int
    p99_ms: int


class Paced(NamedTuple):
    """Of some calls; None where nothing was timed."""

    duration: Shares | None = None
    first_token: Shares | None = None


async def paces(database: Database, selection: Selection) -> dict[tuple[str, ...], Paced]:
    """By what the calls have in common, as `Sum.group` tells it."""
    async with database.of(selection.tenant_id).transaction() as connection:
        summed = selection.paced(await rolled(connection))
        rows = await connection.fetch(
            _SQL.pace,
            selection.tenant_id,
            *selection.span,
            *selection.texts,
            selection.by,
            *summed,
            selection.labels_json,
            selection.label,
            timeout=SUM_S,
        )
    found: dict[tuple[str, ...], Paced] = {}
    for *group, measure, p50_ms, p95_ms, p99_ms in rows:
        paced = found.get(tuple(group), Paced())
        found[tuple(group)] = paced._replace(**{measure: Shares(p50_ms, p95_ms, p99_ms)})
    return found
