"""What is sent to webhook endpoints, and what came of it. All decisions are taken by the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from trunkline_server.core import ids
from trunkline_server.core.errors import not_found
from trunkline_server.store import queries
from trunkline_server.store.database import Database
from trunkline_server.store.webhook_endpoints import PART_ROWS, WebhookEndpoints

_SQL = queries.load(__file__)

FAILING_MAX: Final = timedelta(days=5)
"""An endpoint at which nothing has succeeded for so long gets no more."""
PURGE_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event for an endpoint, without its body."""

    number: int
    delivery_id: UUID
    endpoint_id: UUID
    event_id: UUID
    type: str
    callback_uri: str
    state: str
    attempt: int
    next_time: datetime
    http_status: int
    error: str
    took_ms: int
    create_time: datetime
    end_time: datetime | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery to be sent now, under a lease. Without `secrets`: they cannot be read."""

    tenant_id: UUID
    delivery_id: UUID
    lease_token: int
    event_id: UUID
    body: str
    attempt: int
    uri: str
    secrets: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sent:
    """What an attempt came to. `again_s` None: no more of them; `pause_s`: the endpoint wants nothing for so long."""

    ok: bool
    http_status: int = 0
    error: str = ""
    took_ms: int = 0
    again_s: float | None = None
    pause_s: float | None = None
    is_gone: bool = False


class WebhookDeliveries:
    """Each is an event for an endpoint, whose secrets sign it when it is claimed."""

    def __init__(self, database: Database, endpoints: WebhookEndpoints) -> None:
        self._database = database
        self._endpoints = endpoints

    async def add(self, tenant_id: UUID, endpoint_id: UUID, event_id: UUID, type_: str, body: str) -> Delivery | None:
        """Something for this endpoint alone; None where it is disabled."""
        row = await self._database.of(tenant_id).fetchrow(_SQL.add, tenant_id, endpoint_id, event_id, type_, body)
        return None if row is None else _delivery(row)

    async def fan_out(self, head: int, most: int) -> tuple[int, bool]:
        """Makes deliveries of events up to `head`; how many, and whether there is more to do."""
        row = await self._database.fetchrow(_SQL.fan_out, head, most)
        return (row["made"], row["is_more"]) if row else (0, False)

    async def claim(self, most: int, at_once: int, lease_s: float) -> Sequence[Claimed]:
        """What is due, of each endpoint no more than `at_once` at the same time."""
        rows = await self._database.fetch(_SQL.claim, most, at_once, lease_s)
        signing = await self._endpoints.signing(rows)
        return [_claimed(row, secrets) for row, secrets in zip(rows, signing, strict=True)]

    async def finish(self, claimed: Claimed, sent: Sent) -> bool:
        """Writes what it came to. False: the lease was lost, and nothing is written."""
        what = (sent.ok, sent.http_status, sent.error, sent.took_ms, sent.again_s, sent.pause_s, sent.is_gone)
        asked = (claimed.delivery_id, claimed.lease_token, *what, FAILING_MAX)
        return bool(await self._database.fetchval(_SQL.finish, *asked))

    async def list(
        self,
        tenant_id: UUID,
        *,
        before: int | None,
        endpoint_id: UUID | None,
        state: str,
        event_id: UUID | None,
        limit: int,
    ) -> Sequence[Delivery]:
        """Newest first."""
        asked = (tenant_id, before, endpoint_id, state or None, event_id, limit)
        return [_delivery(row) for row in await self._database.of(tenant_id).fetch(_SQL.list, *asked)]

    async def again(self, tenant_id: UUID, delivery_id: UUID) -> int:
        """Sends one again that has ended; how many that is. Raises RESOURCE_NOT_FOUND."""
        if not await self._database.of(tenant_id).fetchval(_SQL.has, tenant_id, delivery_id):
            raise not_found("webhook_delivery", ids.spell("whdl", delivery_id))
        return _count(await self._database.of(tenant_id).execute(_SQL.again, tenant_id, delivery_id))

    async def failed_again(self, tenant_id: UUID, endpoint_id: UUID, since: datetime | None) -> int:
        """Sends what was given up again; how many those are. Raises RESOURCE_NOT_FOUND."""
        await self._endpoints.get(tenant_id, endpoint_id)
        sent, count, behind = 0, 1, 0
        while count:
            asked = (tenant_id, endpoint_id, since, behind, PART_ROWS)
            [(count, behind)] = await self._database.of(tenant_id).fetch(_SQL.failed_again, *asked)
            sent += count
        return sent

    async def purge(self, older_than: timedelta, limit: int = PURGE_ROWS) -> int:
        """Deletes up to `limit` deliveries that ended long ago; says how many."""
        return _count(await self._database.execute(_SQL.purge, older_than, limit))


def _claimed(row: asyncpg.Record, secrets: Sequence[str]) -> Claimed:
    return Claimed(
        tenant_id=row["tenant_id"],
        delivery_id=row["delivery_id"],
        lease_token=row["lease_token"],
        event_id=row["event_id"],
        body=row["body"],
        attempt=row["attempt"] + 1,
        uri=row["uri"],
        secrets=secrets,
    )


def _delivery(row: asyncpg.Record) -> Delivery:
    return Delivery(**{name: row[name] for name in Delivery.__slots__})


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])
