"""Where answers are kept: in memory, then in Redis where there is one; those to similar questions in the database.

Replicas tell each other what to forget.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Final, cast
from uuid import UUID

import msgspec

from trunkline_server.gateway.cache.key import CacheKey, prefix
from trunkline_server.gateway.cache.memory import Kept, Memory
from trunkline_server.store.database import Database
from trunkline_server.store.redis import RedisAwayError, SharedMemory
from trunkline_server.store.similar_answers import SimilarAnswers

CHANNEL: Final = "trunkline_cache"
SCANNED_AT_ONCE: Final = 500


class Purge(msgspec.Struct, frozen=True):
    """What all replicas should forget."""

    tenant_id: UUID
    provider: str
    model: str


@dataclass(slots=True)
class Counts:
    """How often it helped."""

    hits: int = 0
    misses: int = 0
    stale: int = 0
    similar: int = 0


@dataclass(frozen=True, slots=True)
class Stats:
    """How the cache does for one model of a tenant."""

    provider: str
    model: str
    counts: Counts
    entry_count: int
    entry_bytes: int


class Shelf:
    """Finds, keeps and forgets. `counts` are by tenant, provider and model."""

    def __init__(self, memory: Memory, shared: SharedMemory | None, database: Database) -> None:
        self.memory = memory
        self.counts: defaultdict[tuple[UUID, str, str], Counts] = defaultdict(Counts)
        self.similar: Final = SimilarAnswers(database)
        self._shared = shared
        self._database = database

    async def follow(self) -> None:
        """Hear of what others forget."""
        await self._database.listen(CHANNEL, self._heard)

    async def find(self, key: CacheKey) -> Kept | None:
        """Fresh or not."""
        kept = self.memory.find(key, now_ms())
        if kept is None and (kept := await self._find_shared(key)) is not None:
            self.memory.put(key, kept)
        return kept

    async def put(self, key: CacheKey, kept: Kept) -> None:
        self.memory.put(key, kept)
        if self._shared is None:
            return
        client, times = self._shared.client, (kept.fresh_until_ms, kept.kept_until_ms)
        told = b"".join(each.to_bytes(8) for each in times) + kept.completion
        try:
            await self._shared.ask(lambda: client.set(str(key), told, pxat=kept.kept_until_ms))
        except RedisAwayError:
            return

    async def purge(self, tenant_id: UUID, provider: str = "", model: str = "") -> int:
        """How many were forgotten. Raises STORE_UNAVAILABLE where other replicas cannot be told."""
        shared = await self._purge_shared(prefix(tenant_id, provider, model))  # first, so that nobody finds it there
        similar = await self.similar.purge(tenant_id, provider, model)
        here = self.memory.purge(tenant_id, provider, model)
        told = Purge(tenant_id, provider, model)
        await self._database.notify(CHANNEL, msgspec.json.encode(told).decode())
        return max(here, shared, similar)

    def stats(self, tenant_id: UUID, provider: str = "", model: str = "") -> list[Stats]:
        """By provider and model, since the start."""
        sizes: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for key, kept in self.memory.of(tenant_id, provider, model):
            sizes[key.provider, key.model].append(kept.size_bytes)
        counted = {
            (of_provider, of_model): counts
            for (tenant, of_provider, of_model), counts in self.counts.items()
            if tenant == tenant_id and provider in ("", of_provider) and model in ("", of_model)
        }
        return [
            Stats(*name, counted.get(name, Counts()), len(sizes[name]), sum(sizes[name]))
            for name in sorted({*counted, *sizes})
        ]

    async def _find_shared(self, key: CacheKey) -> Kept | None:
        if self._shared is None:
            return None
        client = self._shared.client
        try:
            told = cast("bytes | None", await self._shared.ask(lambda: client.get(str(key))))
        except RedisAwayError:
            return None
        return Kept(told[16:], int.from_bytes(told[:8]), int.from_bytes(told[8:16])) if told else None

    async def _purge_shared(self, begins: str) -> int:
        if self._shared is None:
            return 0
        client, cursor, count = self._shared.client, 0, 0
        try:
            while True:
                at = cursor
                cursor, names = await self._shared.ask(lambda: client.scan(at, f"{begins}*", SCANNED_AT_ONCE))  # noqa: B023
                if names:
                    count += await self._shared.ask(lambda: client.unlink(*names))  # noqa: B023
                if not cursor:
                    return count
        except RedisAwayError:
            return count

    def _heard(self, payload: str | None) -> None:
        if payload is None:  # something may have been missed
            self.memory.clear()
        else:
            told = msgspec.json.decode(payload, type=Purge)
            self.memory.purge(told.tenant_id, told.provider, told.model)


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
