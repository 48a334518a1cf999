"""Requests that name themselves are answered once: one execution, and the same answer for whoever asks again.

A name within its scope goes through these states, on the database's clock:

    absent ── begin ──> in progress (lease 30 s) ── finish ──> done, for 24 h
                             │  ^              └─── forget ──> absent
                             └──┘ heartbeat; or begin by another once the lease is dead: fence + 1, old writes miss
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import asyncpg
import orjson

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.store import queries
from trunkline_server.store.database import Database

LEASE_S = 30.0
RETENTION_S = 24 * 3600.0
PURGE_ROWS = 1000

_SQL = queries.load(__file__)
_RETRY_MIN_S = 0.1
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Scope:
    """Within what a key is unique. `principal` is a stable id of the caller, never the credential itself."""

    tenant_id: UUID
    principal: str
    method: str
    key: str

    def columns(self) -> tuple[UUID, str, str, str]:
        """The primary key."""
        return (self.tenant_id, self.principal, self.method, self.key)


@dataclass(frozen=True, slots=True)
class Fresh:
    """Execute it. `fence` goes with every later write; above 1 an earlier execution was given up."""

    fence: int


@dataclass(frozen=True, slots=True)
class Replay:
    """It was executed: the bytes of the response, or with `failed` of the error's status."""

    response: bytes = field(repr=False)
    trailers: Mapping[str, str] = field(default_factory=dict)
    failed: bool = False
    completion_id: UUID | None = None


class Idempotency:
    """The table of named requests."""

    def __init__(self, database: Database, lease_s: float = LEASE_S, retention_s: float = RETENTION_S) -> None:
        self._database = database
        self._lease = timedelta(seconds=lease_s)
        self._retention = timedelta(seconds=retention_s)

    async def begin(self, scope: Scope, fingerprint: bytes, owner: str) -> Fresh | Replay:
        """Says whether to execute. Raises IDEMPOTENCY_KEY_REUSED for another request under the same key, and
        IDEMPOTENCY_IN_PROGRESS (with `retry_after_s`) while somebody executes it."""
        for _ in range(_ROUNDS):
            row = await self._database.fetchrow(
                _SQL.begin, *scope.columns(), fingerprint, owner, self._lease, self._retention
            )
            if row is not None:
                return Fresh(row["fence"]) if row["fresh"] else _repeated(row, fingerprint)
        raise _in_progress(_RETRY_MIN_S)

    async def heartbeat(self, scope: Scope, fence: int) -> bool:
        """Lengthens the lease. False: it was taken over, stop."""
        return _hit(await self._database.execute(_SQL.heartbeat, *scope.columns(), fence, self._lease))

    async def finish(self, scope: Scope, fence: int, result: Replay) -> bool:
        """Keeps the result for whoever asks again. False: it was taken over, and the other's result counts."""
        trailers = orjson.dumps(dict(result.trailers)).decode()
        what = (result.response, result.failed, trailers, result.completion_id)
        return _hit(await self._database.execute(_SQL.finish, *scope.columns(), fence, *what))

    async def forget(self, scope: Scope, fence: int) -> bool:
        """For an outcome that must not be kept: the next one with this key executes."""
        return _hit(await self._database.execute(_SQL.forget, *scope.columns(), fence))

    async def find_result(self, tenant_id: UUID, completion_id: UUID) -> Replay | None:
        """The result of a finished call by the id of its completion."""
        row = await self._database.fetchrow(_SQL.find_result, tenant_id, completion_id, self._retention)
        return None if row is None else _replay(row)

    async def purge(self, limit: int = PURGE_ROWS) -> int:
        """Deletes up to `limit` rows past their time; says how many."""
        return int((await self._database.execute(_SQL.purge, self._retention, limit)).removeprefix("DELETE "))


def _repeated(row: asyncpg.Record, fingerprint: bytes) -> Replay:
    if row["fingerprint"] != fingerprint:
        raise TrunklineError(
            Reason.IDEMPOTENCY_KEY_REUSED, "this request_id was used for another request; choose a new one"
        )
    if row["state"] == "in_progress":
        raise _in_progress(max(row["lease_left_s"], _RETRY_MIN_S))
    return _replay(row)


def _replay(row: asyncpg.Record) -> Replay:
    return Replay(row["response"], orjson.loads(row["trailers"]), row["failed"], row["completion_id"])


def _in_progress(retry_after_s: float) -> TrunklineError:
    return TrunklineError(
        Reason.IDEMPOTENCY_IN_PROGRESS,
        "a request with this request_id is being executed; ask again",
        retry_after_s=retry_after_s,
    )


def _hit(tag: str) -> bool:
    return not tag.endswith(" 0")
