"""What an operator posts to an account: a grant, a correction, a refund. Its request id makes it happen once."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, TrunklineError, invalid, not_found
from trunkline_server.core.money import INT64_MAX
from trunkline_server.store import queries
from trunkline_server.store.database import Database
from trunkline_server.store.holds import Entry
from trunkline_server.store.lane import told

_SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Posting:
    """In the order in which the database takes it. An `amount` of None refunds all that is left of the charge."""

    tenant_id: UUID
    account_id: UUID
    kind: str
    amount: int | None
    request_id: str
    reason: str
    hold_id: UUID | None = None
    expires_at: datetime | None = None


async def post(database: Database, posting: Posting) -> Entry:
    """The transfer, also where an earlier call made it. Raises IDEMPOTENCY_KEY_REUSED, BALANCE_OVERFLOW, VALIDATION."""
    if not posting.request_id:
        raise invalid("request_id", "is required")
    if abs(posting.amount or 0) > INT64_MAX:
        raise invalid("amount", "does not fit 64 bits")
    try:
        [(verdict, *posted)] = await _posted(database, posting)
    except asyncpg.NumericValueOutOfRangeError as error:
        raise told(error) from error
    if verdict != "posted":
        raise _refused(verdict, posting)
    return Entry(*posted)


async def _posted(database: Database, posting: Posting) -> list[asyncpg.Record]:
    try:
        return await database.fetch(_SQL.transfer, *astuple(posting))
    except asyncpg.UniqueViolationError:  # the same request id, at the same instant, for another account
        return await database.fetch(_SQL.transfer, *astuple(posting))


def _refused(verdict: str, posting: Posting) -> TrunklineError:
    match verdict:
        case "reused":
            return TrunklineError(Reason.IDEMPOTENCY_KEY_REUSED, "the request id was used for another transfer")
        case "exceeded":
            return invalid("amount", "is more than what is left of the charge")
        case "over":
            return invalid("expire_time", "must be in the future")
        case _:
            return not_found("account", ids.spell("acct", posting.account_id))
