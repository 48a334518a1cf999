"""API keys as stored: whose they are, what they may, and what proves them: the hash of a secret, or the public key that
their requests are signed for. Changes are told on `trunkline_keys`.

A key is live from the start,

    live ── rotate ──> live, with two secrets, or public keys, until the older one's time is up
    live ── revoke ──> revoked
    live ── its time is up ──> expired
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from trunkline_server.core import api_key
from trunkline_server.core.errors import not_found
from trunkline_server.core.priority import Priority
from trunkline_server.store import queries
from trunkline_server.store.database import Database
from trunkline_server.store.page import Page

CHANNEL = "trunkline_keys"
TURN_S = 30.0
"""All processes of an installation may start at once."""

_SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A row; safe to keep in memory. An empty `models` allows every model. With a `public_key` the hashes are empty,
    which that of no secret is."""

    key_id: str
    tenant_id: UUID
    environment: str
    name: str
    scopes: frozenset[str]
    models: frozenset[str]
    secret_hash: bytes = field(repr=False)
    previous_secret_hash: bytes | None = field(repr=False)
    previous_expire_time: datetime | None
    expire_time: datetime | None
    revoke_time: datetime | None
    last_use_time: datetime | None
    create_time: datetime
    created_by: str
    priority: Priority
    public_key: bytes | None = None
    previous_public_key: bytes | None = None

    def expired(self, now: datetime) -> bool:
        """Its time is up."""
        return self.expire_time is not None and self.expire_time <= now

    def fits(self, secret_hash: bytes, now: datetime) -> bool:
        """Whether this is the hash of a secret that is live at `now`. Both are compared, always."""
        current = api_key.same_hash(self.secret_hash, secret_hash)
        previous = api_key.same_hash(self.previous_secret_hash or b"", secret_hash)
        return current or (previous and self._overlaps(now))

    def public_keys(self, now: datetime) -> list[bytes]:
        """Those that a signature may be for at `now`; none of a key with a secret."""
        live = (self.public_key, self.previous_public_key if self._overlaps(now) else None)
        return [key for key in live if key is not None]

    def _overlaps(self, now: datetime) -> bool:
        return self.previous_expire_time is not None and now < self.previous_expire_time


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a new key shall be."""

    tenant_id: UUID
    name: str
    scopes: Sequence[str]
    created_by: str
    models: Sequence[str] = ()
    environment: str = "live"
    expire_time: datetime | None = None
    priority: Priority = Priority.INTERACTIVE
    public_key: bytes | None = None


class Keys:
    """The table of keys. `pepper` is the secret part of every stored hash."""

    def __init__(self, database: Database, pepper: bytes) -> None:
        self._database = database
        self._pepper = pepper

    def hash(self, secret: str) -> bytes:
        """The hash to hold against `KeyRecord.fits`."""
        return api_key.hash_secret(self._pepper, secret)

    @asynccontextmanager
    async def one_at_a_time(self) -> AsyncIterator[None]:
        """Nobody else is within this, in any process, until it is left."""
        async with self._database.patient(TURN_S) as connection:
            await connection.execute(_SQL.lock)
            yield

    async def create(self, new: NewKey, key: api_key.ApiKey | None = None) -> tuple[KeyRecord, str]:
        """The record, and the key in the clear, which nobody can read again; empty for one with a public key."""
        key = key or api_key.make(new.environment)
        secret_hash, text = self._proof(key, new.public_key)
        who = (key.key_id, new.tenant_id, new.environment, new.name)
        what = (
            list(new.scopes),
            list(new.models),
            secret_hash,
            new.expire_time,
            new.created_by,
            new.priority,
            new.public_key,
        )
        try:
            return _found(await self._database.fetchrow(_SQL.create, *who, *what), key.key_id), text
        except asyncpg.ForeignKeyViolationError as error:
            raise not_found("tenant", str(new.tenant_id)) from error

    async def find(self, key_id: str) -> KeyRecord | None:
        """By the id within the key, whoever's it is."""
        row = await self._database.fetchrow(_SQL.find, key_id)
        return None if row is None else _record(row)

    async def list(self, tenant_id: UUID, page: Page) -> list[KeyRecord]:
        """Oldest first, revoked and expired ones included."""
        rows = await self._database.fetch(_SQL.list, tenant_id, page.after_time, page.after_id, page.size)
        return [_record(row) for row in rows]

    async def revoke(self, tenant_id: UUID, key_id: str) -> KeyRecord:
        """For good; a second time changes nothing. Raises RESOURCE_NOT_FOUND."""
        return _found(await self._database.fetchrow(_SQL.revoke, tenant_id, key_id), key_id)

    async def rotate(
        self, tenant_id: UUID, key_id: str, overlap_s: float, public_key: bytes | None = None
    ) -> tuple[KeyRecord, str]:
        """A new secret, in the clear, or the next public key of a key that has one; the old one stays good for
        `overlap_s`, any older one ends now. Raises RESOURCE_NOT_FOUND, for a revoked key too."""
        record = await self.find(key_id)
        key = api_key.make(record.environment if record else "live", key_id)
        secret_hash, text = self._proof(key, public_key)
        overlap = timedelta(seconds=overlap_s)
        row = await self._database.fetchrow(_SQL.rotate, tenant_id, key_id, secret_hash, overlap, public_key)
        return _found(row, key_id), text

    async def note_use(self, key_ids: Sequence[str]) -> None:
        """Remembers that these keys were used about now; callers collect ids for a while. Not announced."""
        await self._database.execute(_SQL.note_use, list(key_ids))

    def _proof(self, key: api_key.ApiKey, public_key: bytes | None) -> tuple[bytes, str]:
        """What is stored of its secret, and the key in the clear: both empty for a key that has none."""
        return (self.hash(key.secret), key.text) if public_key is None else (b"", "")


def _found(row: asyncpg.Record | None, key_id: str) -> KeyRecord:
    if row is None:
        raise not_found("api_key", key_id)
    return _record(row)


def _record(row: asyncpg.Record) -> KeyRecord:
    return KeyRecord(
        key_id=row["key_id"],
        tenant_id=row["tenant_id"],
        environment=row["environment"],
        name=row["name"],
        scopes=frozenset(row["scopes"]),
        models=frozenset(row["models"]),
        secret_hash=row["secret_hash"],
        previous_secret_hash=row["previous_secret_hash"],
        previous_expire_time=row["previous_expire_time"],
        expire_time=row["expire_time"],
        revoke_time=row["revoke_time"],
        last_use_time=row["last_use_time"],
        create_time=row["create_time"],
        created_by=row["created_by"],
        priority=Priority(row["priority"]),
        public_key=row["public_key"],
        previous_public_key=row["previous_public_key"],
    )
