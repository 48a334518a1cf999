"""From the settings to limits: what replicas share, and who counts."""

from __future__ import annotations

from contextlib import AsyncExitStack

from trunkline_server.config import Settings
from trunkline_server.core.money import from_decimal_text
from trunkline_server.door.pressure import PressureSettings
from trunkline_server.gateway.cache.wish import CacheSettings
from trunkline_server.gateway.limits.book import Book
from trunkline_server.gateway.limits.limiter import Limiter
from trunkline_server.gateway.limits.local import LocalCounters
from trunkline_server.gateway.limits.shared import HERE_AGAIN_S, SharingCounters
from trunkline_server.gateway.streams.streams import StreamSettings
from trunkline_server.store.database import Database
from trunkline_server.store.redis import RedisSettings, SharedMemory
from trunkline_server.worker.chores import Chore


def open_shared(settings: Settings, stack: AsyncExitStack) -> SharedMemory | None:
    """It need not be there yet."""
    if not settings.redis_url:
        return None
    shared = SharedMemory(RedisSettings(settings.redis_url, settings.limits.redis_timeout_s))
    stack.push_async_callback(shared.close)
    return shared


async def open_limiter(settings: Settings, database: Database, shared: SharedMemory | None, replica_id: str) -> Limiter:
    """Counts together with other replicas where there is something that they share."""
    if shared is None:
        return Limiter(Book(database), LocalCounters())
    counters = SharingCounters(shared, replica_id, settings.limits.replicas_min)
    await counters.count_replicas()
    return Limiter(Book(database), counters)


def limit_chores(limiter: Limiter) -> list[Chore]:
    chores = [
        Chore("refresh_limits", 300, limiter.book.refresh),
        Chore("expire_budget_holds", 60, limiter.book.budgets.expire),
        Chore("purge_browser_tokens", 600, limiter.book.lent.purge),
    ]
    if isinstance(limiter.counters, SharingCounters):
        chores.append(Chore("count_replicas", HERE_AGAIN_S, limiter.counters.count_replicas))
    return chores


def cache_settings(settings: Settings) -> CacheSettings:
    given = settings.cache
    return CacheSettings(
        given.ttl_s, given.stale_s, given.answer_bytes_max, from_decimal_text(given.hit_price), given.embedding_model
    )


def stream_settings(settings: Settings) -> StreamSettings:
    given = settings.streams
    return StreamSettings(
        given.grace_s, given.keep_s, given.bytes_max, given.memory_bytes_max, settings.grpc.heartbeat_s
    )


def pressure_settings(settings: Settings) -> PressureSettings:
    given = settings.overload
    return PressureSettings(given.calls_min, given.calls_max, given.lag_s)
